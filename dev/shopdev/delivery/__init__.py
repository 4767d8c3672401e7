"""The steps of every pipeline, from a changed file to a service that works on the cluster.

CodePipeline, Jenkins and GitHub Actions only name the steps and their order. This package implements them, and the tests run them
against a real registry and a real API server.
"""
