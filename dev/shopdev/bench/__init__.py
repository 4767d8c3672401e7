"""Benchmarks of the operator, of the functions, of the catalogue import and of `make dev`; docs/benchmarks.md has the results."""
