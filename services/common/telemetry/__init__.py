"""Telemetry of a process: JSON logs without payment data, Prometheus metrics and traces."""
