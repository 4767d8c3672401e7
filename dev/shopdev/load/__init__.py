"""`make load`: customers who browse and buy in the shop of `make dev` or `make demo`, with Locust."""
