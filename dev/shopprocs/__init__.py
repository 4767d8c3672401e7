"""The shop as plain processes on loopback: for `make dev`, and for the tests of the services.

Also what both share with the cluster: which CloudFormation stacks there are, how they are deployed, and which of their
outputs become whose environment.
"""
