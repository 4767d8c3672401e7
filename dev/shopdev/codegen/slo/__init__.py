"""The files that are generated from the objectives of the shop in manifests/slo.yaml."""
