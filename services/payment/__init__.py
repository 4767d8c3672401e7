"""Charges orders at a payment provider, at most once each, and gives back what was charged."""
