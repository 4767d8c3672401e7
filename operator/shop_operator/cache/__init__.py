"""The state of the cluster that is available without a request."""
