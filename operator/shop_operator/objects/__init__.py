"""Pure functions on Kubernetes objects of any kind, as the API server shows them: reading, comparing, merging."""
