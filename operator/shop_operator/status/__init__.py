"""The status of a ShopService: the state of its children, the causes of failures, and the one write of it."""
