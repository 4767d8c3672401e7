"""Benchmarks of the operator, the shop, the functions, the catalogue import and `make dev`; docs/benchmarks.md contains the results."""
