"""What the shop sold, day by day: a view of the facts of orders that AWS Lambda keeps."""
