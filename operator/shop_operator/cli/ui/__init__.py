"""`kubectl shop ui`: a web page on this machine that shows ShopServices and orders with the permissions of its user.

`views/` contains pure functions from objects and documents to the content of a page, and `templates/` their HTML. `fleet.py` watches
the ShopServices, `shop.py` and `jaeger.py` call the API of the shop and that of Jaeger, `access.py` decides who may read the page,
and `app.py` connects them.
"""
