"""The AWS adapters: clients, tables, queues, topics, secrets, workflows and service discovery."""
