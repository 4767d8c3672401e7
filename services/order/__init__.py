"""Accepts orders, tracks them, and starts the workflow that ships or undoes them."""
