"""The shop: four services that share mechanisms (`common`) and message contracts, and never each other's code."""
