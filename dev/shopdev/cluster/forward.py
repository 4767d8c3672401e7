"""A forwarder from loopback ports of this machine to the network namespace of the cluster.

A socket belongs to the namespace in which it was created. Therefore the process listens on this machine, moves to the namespace of
the cluster, optionally listens there too, and opens all connections from there. Thus one URL is valid on both sides. Run it with
`python3 -m shopdev.cluster.forward NETNS ROUTE…`.
"""

import argparse
import asyncio
import contextlib
import ctypes
import os
import socket
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWNET = 0x40000000
CHUNK = 65536


@dataclass(frozen=True)
class Route:
    """A port on loopback and its destination.

    Args:
        port: port on 127.0.0.1.
        host: name or address of the destination in the namespace.
        target: port of the destination.
        inside: whether to listen in the namespace too, because nothing else listens there on that port.
    """

    port: int
    host: str
    target: int
    inside: bool = False

    def __str__(self) -> str:
        return f"{self.port}={self.host}:{self.target}{'+' if self.inside else ''}"

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Parse the format of `str`: `8000=127.0.0.1:80`, with a final `+` for `inside`."""
        port, _, rest = text.partition("=")
        host, _, target = rest.rstrip("+").rpartition(":")
        return cls(int(port), host, int(target), rest.endswith("+"))


def enter(netns: Path) -> None:
    """Move the calling thread, and all threads that it starts, to a network namespace.

    Raises:
        OSError: when the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with netns.open() as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(netns))


def listen(port: int) -> socket.socket:
    """A listening socket on loopback, in the current namespace."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    listener.setblocking(False)  # noqa: FBT003  the socket API is like that
    return listener


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy data until the end, then close the other direction too."""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def serve(listener: socket.socket, host: str, port: int) -> None:
    """Forward every connection of a listener."""
    # asyncio references a task only through the sockets from which it reads. If one end of a connection has finished sending,
    # only a cycle would remain, which the garbage collector would delete. `open_connections` keeps a reference.
    open_connections: set[asyncio.Task[None]] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(host, port)
            with contextlib.closing(far_writer):
                await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(forward(reader, writer))
        open_connections.add(task)
        task.add_done_callback(open_connections.discard)

    server = await asyncio.start_server(connected, sock=listener)
    async with server:
        await server.serve_forever()


async def _serve_all(listeners: list[tuple[socket.socket, Route]]) -> None:
    await asyncio.gather(*(serve(listener, route.host, route.target) for listener, route in listeners))


def main() -> None:
    """Serve the routes of the command line until a signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("netns", type=Path)
    parser.add_argument("routes", type=Route.parse, nargs="+", metavar="PORT=HOST:PORT[+]")
    options = parser.parse_args()
    listeners = [(listen(route.port), route) for route in options.routes]
    enter(options.netns)
    listeners += [(listen(route.port), route) for route in options.routes if route.inside]
    asyncio.run(_serve_all(listeners))


if __name__ == "__main__":
    main()
