"""Serves a WSGI application: the web server, the common application frame, and authentication."""
