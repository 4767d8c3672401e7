"""Books each order with a carrier, at most once, and cancels what was booked."""
