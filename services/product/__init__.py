"""Owns the catalog and the stock, and reserves stock for orders until they are shipped or undone."""
