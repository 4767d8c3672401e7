"""What the commands in dev/ run: the shop on this machine, on a cluster and in AWS, its delivery, generated files and benchmarks."""
