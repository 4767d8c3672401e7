"""Messages in and out: queues, tasks of a workflow, facts, and the outbox."""
