"""The API keys of partners: issues, rotates, revokes and verifies them."""
