"""Makes operator/shop_operator/kubernetes_schema.json: the fields of the Kubernetes API that the operator writes."""
