"""The shop on Amazon EKS: the demo's own steps, with a cluster that a stack makes and a registry that keeps the images.

What differs from the demo on a cluster that is there already is in `target`; `cli` adds the way in from outside.
"""
