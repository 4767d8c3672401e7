"""From an event to a cluster that is as its ShopServices say."""
