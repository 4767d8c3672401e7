"""The types of the API, a package for each version."""
