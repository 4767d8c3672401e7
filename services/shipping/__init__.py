"""Books orders with a carrier, at most once each, and cancels what was booked."""
