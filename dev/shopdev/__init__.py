"""Implementation of the commands in dev/: the shop on this machine, on a cluster and in AWS, its delivery, generated files and benchmarks."""
