"""Builds what AWS Lambda runs: one zip per function, the same bytes from the same sources."""
