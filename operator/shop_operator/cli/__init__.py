"""`kubectl shop`: questions about ShopServices, answered with the operator's own rendering and wording.

Pure modules (documents, diff, explain, views) turn objects into text; cluster.py alone talks to the API server, and commands.py
puts the two together. It runs on a person's machine with that person's rights, and needs no operator to be there.
"""
