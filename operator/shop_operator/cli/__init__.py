"""`kubectl shop`: inspects and controls ShopServices with the rendering and the wording of the operator.

Pure modules (documents, diff, explain, views) turn objects into text. Only cluster.py talks to the API server, and commands.py
combines the two. The plugin runs on the user's machine with the user's permissions, and requires no running operator.
"""
