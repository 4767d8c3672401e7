"""The generated files of the charts: the CRD, READMEs, schemas of values, and the manifest for kubectl.

A value is described only in the `values.yaml` of its chart, and the type of a field of a ShopService only in the CRD. A test compares
the files with the output of this package.
"""
