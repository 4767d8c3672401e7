"""The runtime of a process: settings, logs, metrics, workers, retries and circuit breakers."""
