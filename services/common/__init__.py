"""Mechanisms that every service needs: how to serve, store, publish and consume. No word of any shop in here."""
