"""The storefront: the pages of the shop, for customers and for its staff. It uses only the public API, as any client does."""
