"""The routes of the API Gateway, generated from the OpenAPI documents of the services."""
