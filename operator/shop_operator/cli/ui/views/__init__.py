"""The content of the pages: pure functions from objects of the cluster and documents of the shop to what a template shows."""
