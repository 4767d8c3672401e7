"""The documentation as a site, by MkDocs; mkdocs.yml contains its settings and navigation."""
