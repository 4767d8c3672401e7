"""What every pipeline runs: the steps from a changed file to a service that has proven itself on the cluster.

A pipeline, be it CodePipeline, Jenkins or GitHub Actions, only names the steps and their order; what a step does is
here, once, and is run by the tests against a real registry and a real API server.
"""
