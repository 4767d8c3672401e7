"""Adapters of AWS: the clients, tables, secrets, and the discovery of instances."""
