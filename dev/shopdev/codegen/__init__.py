"""Generators of files in the repository; `make generate` runs them."""
