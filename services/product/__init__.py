"""Shows what the shop sells, and keeps its stock for orders until they are shipped or given up."""
