"""Pure functions on Kubernetes objects of any kind, as the API server returns them: reading, comparing, merging."""
