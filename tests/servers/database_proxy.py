"""What if the connection to the database ends at the worst moment? A proxy before PostgreSQL.

It stands between any process and a server on loopback, and passes bytes on. It can end all
connections, take none, and lose a COMMIT: before the server gets it, or after, with its answer.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from enum import Enum

COMMIT = b"COMMIT\x00"
"""The end of the message by which the driver commits."""
PIECE = 1 << 16


class Lost(Enum):
    """What becomes of a COMMIT."""

    UNSENT = "unsent"  # the server never gets it, and rolls back
    UNANSWERED = "unanswered"  # the server does it, and nobody learns that


class DatabaseProxy:
    """Faults that are left; told by any thread."""

    def __init__(self, target: int) -> None:
        self.target = target  # port on loopback
        self.port = 0
        self.lost = 0  # commits that were lost so far
        self._loop = asyncio.new_event_loop()
        self._commits: list[Lost] = []
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()

    def lose(self, *commits: Lost) -> None:
        """Let these happen to the next commits, and none of those told before."""

        def change() -> None:
            self._commits = list(commits)

        self._loop.call_soon_threadsafe(change)

    def cut(self) -> None:
        """End all connections; new ones are taken."""
        self._loop.call_soon_threadsafe(self._cut)

    def refuse(self, *, refusing: bool) -> None:
        """Take no connections and end those that are there, or take them again."""

        def change() -> None:
            self._refusing = refusing
            if refusing:
                self._cut()

        self._loop.call_soon_threadsafe(change)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, back}
        self._writers |= both
        muted = asyncio.Event()
        try:
            forth = asyncio.create_task(self._forth(reader, back, muted))
            answers = asyncio.create_task(self._back(there, writer, muted))
            _, pending = await asyncio.wait((forth, answers), return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
        except asyncio.CancelledError:
            return  # the proxy ends
        finally:
            self._writers -= both
            for one in both:
                one.transport.abort()

    async def _forth(
        self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, muted: asyncio.Event
    ) -> None:
        """From the client to the server."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(PIECE):
                fault = self._commits.pop(0) if self._commits and COMMIT in data else None
                self.lost += fault is not None
                if fault is Lost.UNSENT:
                    return
                if fault is Lost.UNANSWERED:
                    muted.set()
                back.write(data)
                await back.drain()

    async def _back(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, muted: asyncio.Event
    ) -> None:
        """From the server to the client; the first answer that must not arrive is the end."""
        with contextlib.suppress(ConnectionError):
            while (data := await there.read(PIECE)) and not muted.is_set():
                writer.write(data)
                await writer.drain()

    def serve(self, listens: threading.Event) -> None:
        """Until `end`; blocking."""

        async def begin() -> asyncio.Server:
            return await asyncio.start_server(self._take, "127.0.0.1", 0)

        server = self._loop.run_until_complete(begin())
        self.port = server.sockets[0].getsockname()[1]
        listens.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._cut()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def end(self) -> None:
        """Serve no more."""
        self._loop.call_soon_threadsafe(self._loop.stop)


@contextlib.contextmanager
def before(target: int) -> Iterator[DatabaseProxy]:
    """A proxy before a port of this machine, until the `with` ends."""
    proxy, listens = DatabaseProxy(target), threading.Event()
    thread = threading.Thread(target=proxy.serve, args=(listens,))
    thread.start()
    listens.wait()
    try:
        yield proxy
    finally:
        proxy.end()
        thread.join()
