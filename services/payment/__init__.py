"""Charges each order at a payment provider, at most once, and refunds what was charged."""
