"""The shop as processes on loopback, for `make dev` and for the tests of the services."""
