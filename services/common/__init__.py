"""Mechanisms that every service needs, in folders by what they talk to. No word of any shop in here."""
