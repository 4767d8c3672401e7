"""Packages of the AWS Lambda functions: one reproducible zip per function."""
