"""Messaging: queues, tasks of a workflow, events, and the outbox."""
