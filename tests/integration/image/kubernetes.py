"""The image of the operator has no Kubernetes client, which kopf imports where it finds one."""

raise ModuleNotFoundError(__doc__)
