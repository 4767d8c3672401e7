"""What a process runs with: settings, logs, metrics, workers, and guarded calls."""
