"""Two servers in a thread: one records the AWS calls that pass through it, the other repeats recorded responses in order."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from shopdev.bench.shop.calls import Call, Message, call_of

_LONGEST_HEAD: Final = 1024 * 1024


class Served(ABC):
    """A server on a free port of loopback, in a thread of its own, for the duration of a context."""

    def __init__(self) -> None:
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_LONGEST_HEAD)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._open.add(task)
        try:
            await self.serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the connection ended, or the context of the server
        finally:
            self._open.discard(task)
            writer.close()

    async def _close(self) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


class Recorder(Served):
    """Forwards every request to the emulator and keeps the AWS calls.

    Args:
        port: port of the emulator on loopback.
    """

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self.calls: list[Call] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As `Served.serve`."""
        back, forth = await asyncio.open_connection("127.0.0.1", self._port, limit=_LONGEST_HEAD)
        try:
            while True:
                request = await read(reader)
                forth.write(request.encoded)
                response = await read(back)
                writer.write(response.encoded)
                await writer.drain()
                if (call := call_of(request, response)) is not None:
                    self.calls.append(call)
        finally:
            forth.close()


class Repeater(Served):
    """Answers the n-th request with the n-th of the given responses, over and over.

    Args:
        responses: encoded responses.
    """

    def __init__(self, responses: Sequence[bytes]) -> None:
        super().__init__()
        self._responses = responses
        self._answered = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As `Served.serve`."""
        while True:
            await read(reader)
            writer.write(self._responses[self._answered % len(self._responses)])
            self._answered += 1


async def read(reader: asyncio.StreamReader) -> Message:
    """The next message of a connection.

    Raises:
        asyncio.IncompleteReadError: the connection ended.
    """
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n").split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if headers.get("transfer-encoding") == "chunked":
        return Message(first, headers, await _chunks(reader))
    return Message(first, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        found += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return found
