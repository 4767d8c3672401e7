"""`kubectl shop diff`: the changes that applying a file of ShopServices causes. Pure.

`plan` applies the ShopServices (`merge`), renders the desired children of them and of their neighbors, and compares these
with the live children (`changes`), including the fields that the apply removes (`removed_fields`).
"""
