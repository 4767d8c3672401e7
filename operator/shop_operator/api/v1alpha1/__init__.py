"""shopservice.dev/v1alpha1: the fields of a ShopService with their defaults and rules, and the CRD that is generated from them."""
