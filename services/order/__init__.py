"""Accepts orders, tracks them, and has the workflow started that ships or undoes them."""
