"""`kubectl shop`: inspects and controls ShopServices with the rendering and the wording of the operator.

commands.py contains the program and the commands that show ShopServices; files.py, releases.py, pods.py, browser.py, graph.py
and new.py contain others, and top, recommend and ui are packages of their own. Only cluster.py talks to the API server, and only
kubectl.py runs kubectl. The modules marked as pure turn objects into text. The
plugin runs on the user's machine with the user's permissions, and requires no running operator.
"""
