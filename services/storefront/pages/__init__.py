"""The pages: one module for each part of the shop, and `site`, which connects them."""
