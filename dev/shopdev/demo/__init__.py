"""`make demo`: from nothing to an order shipped, on the local node or on the current kube context."""
