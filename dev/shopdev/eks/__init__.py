"""The shop on Amazon EKS: the steps of the demo, with a cluster that a stack creates and a registry for the images.

`target` contains what differs from the demo on an existing cluster; `cli` adds the API in front of the load balancer.
"""
