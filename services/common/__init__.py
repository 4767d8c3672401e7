"""The mechanisms that all services share, in folders by technology. They are independent of the shop."""
