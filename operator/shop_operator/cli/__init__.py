"""`kubectl shop`: what a person asks of ShopServices, answered by the operator's own rendering and words.

Pure modules (documents, diff, explain, views) turn objects into text; cluster.py alone talks to the API server, and commands.py
puts the two together. It runs on a person's machine with that person's rights, and needs no operator to be there.
"""
