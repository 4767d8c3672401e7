"""Invalid ShopServices with the messages that reject them, a module for each topic.

Unit tests pass them to the models, and an integration test passes them to a real API server, so that both reject the same specs.
"""

from tests.operator.refusals import (
    containers,
    metadata,
    monitoring,
    network,
    rollouts,
    routing,
    scaling,
    shopservices,
    workers,
)

REFUSALS = (
    *rollouts.REFUSALS,
    *network.REFUSALS,
    *scaling.REFUSALS,
    *routing.REFUSALS,
    *containers.REFUSALS,
    *workers.REFUSALS,
    *shopservices.REFUSALS,
    *metadata.REFUSALS,
    *monitoring.REFUSALS,
)
