"""The types of the API, with a package for each version."""
