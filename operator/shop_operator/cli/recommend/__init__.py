"""`kubectl shop recommend`: requests that fit the measured use of CPU and memory.

history.py asks Prometheus or the metrics API; sizing.py computes the requests and is pure.
"""
