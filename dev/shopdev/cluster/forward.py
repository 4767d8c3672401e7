"""Loopback ports of this machine that lead into the cluster's network namespace.

A socket belongs to the namespace in which it was made. So: listen here, move this process into the cluster's namespace,
listen there as well where that is wanted, and connect from there for the rest of its life. One URL is then valid on both
sides. Run as `python3 -m shopdev.cluster.forward NETNS ROUTE…`.
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
    """One port on loopback and where it leads.

    Args:
        port: on 127.0.0.1.
        host: name or address as seen from inside.
        target: port there.
        inside: listen inside the namespace too, because nothing else does on that port.
    """

    port: int
    host: str
    target: int
    inside: bool = False

    def __str__(self) -> str:
        return f"{self.port}={self.host}:{self.target}{'+' if self.inside else ''}"

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Read what `str` wrote: `8000=127.0.0.1:80`, a final `+` for `inside`."""
        port, _, rest = text.partition("=")
        host, _, target = rest.rstrip("+").rpartition(":")
        return cls(int(port), host, int(target), rest.endswith("+"))


def enter(netns: Path) -> None:
    """Move the calling thread, and every thread that it starts, into a network namespace.

    Raises:
        OSError: when the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with netns.open() as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(netns))


def listen(port: int) -> socket.socket:
    """A listening socket on loopback, in the namespace of the moment."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    listener.setblocking(False)  # noqa: FBT003  the socket API is like that
    return listener


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, then pass the end on."""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def serve(listener: socket.socket, host: str, port: int) -> None:
    """Forward every connection of a listener, for ever."""
    # asyncio holds a task through the sockets that it reads from only. Of a connection whose one end has finished
    # sending, nothing would be left but a cycle, and the garbage collector would end it.
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
    """Serve the routes of the command line until a signal ends it."""
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
