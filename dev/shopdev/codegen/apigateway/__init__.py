"""The routes of the API Gateway, made from what the services say of themselves in their OpenAPI documents."""
