"""Everything in the charts that follows from something else: the CRD, READMEs, value schemas, the kubectl manifest.

`values.yaml` of a chart is the only place where a value is described; the CRD is the only place where the type of a
ShopService's field is. A test holds each file equal to what this package makes of them.
"""
