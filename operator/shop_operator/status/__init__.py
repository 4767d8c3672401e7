"""What a ShopService says about itself: how its parts are, why, and what helps."""
