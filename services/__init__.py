"""The services of the shop. They share the mechanisms in `common` and message contracts, but no other code."""
