"""The files that are generated from the definitions of the services' metrics."""
