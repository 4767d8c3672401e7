"""The keys with which partners' programs ask the shop: who has one, what it is good for, and whether it still is."""
