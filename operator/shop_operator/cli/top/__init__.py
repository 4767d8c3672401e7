"""`kubectl shop top`: the traffic, the queues and the resources of ShopServices.

sources.py asks the API server and prometheus.py asks Prometheus; the other modules are pure, except for the command in command.py.
"""
