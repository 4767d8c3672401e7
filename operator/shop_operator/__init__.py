"""The operator that keeps every ShopService true: one resource in, a running microservice out."""
