"""A real single-node Kubernetes on one Linux machine, without a container engine: what `dev/cluster` runs."""
