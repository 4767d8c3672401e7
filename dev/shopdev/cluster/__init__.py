"""A real single-node Kubernetes cluster on a Linux machine, without a container engine; `dev/cluster` runs it."""
