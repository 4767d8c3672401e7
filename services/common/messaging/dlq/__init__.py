"""List, show, redrive or discard the dead letters of a service's queues.

Run `python -m services.common.messaging.dlq list` in the environment of a service's process. In a cluster, run `kubectl shop
dlq NAME list`. The redrive policies of the queues name their dead-letter queues.

To redrive a dead letter, it is sent to its queue again, and then deleted. After a crash in between, it is handled twice, which
every handler supports, but it is never lost.
"""
