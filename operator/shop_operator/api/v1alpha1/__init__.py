"""shopservice.dev/v1alpha1: the fields of a ShopService, their defaults and their rules, and the CRD that is generated from them."""
