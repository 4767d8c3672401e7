"""Connections to the API servers of tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shop_operator.kubernetes.connection import Connection
from shop_operator.kubernetes.credentials import ConnectionInfo
from shop_operator.observability.metrics import Metrics


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """A connection that is closed at the end of the context."""
    connection = Connection(ConnectionInfo(server=url), Metrics(lease="x"))
    try:
        yield connection
    finally:
        await connection.close()
