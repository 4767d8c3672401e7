"""The generator of operator/shop_operator/objects/kubernetes_schema.json: the fields of the Kubernetes API that the operator writes."""
