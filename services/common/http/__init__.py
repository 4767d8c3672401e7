"""Serves a WSGI application: the web server, its frame, and who may ask for what."""
