"""How does a process start, serve and stop? Listeners first, then kernels and journal, then ready.

SIGTERM and SIGINT stop accepting, cancel queries, let pushes end and close the files
(`stopping.py`). What is not in blocks stays in the journal.
"""

import asyncio
import contextlib
import errno
import math
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import grpc
import structlog
import uvicorn
import uvloop
from fastapi import FastAPI

from narfi.core.errors import AppError, ErrorKind
from narfi.core.settings import Settings
from narfi.server.addresses import check_addresses, page_url
from narfi.server.app import build_app
from narfi.server.canary import Canary
from narfi.server.connections import (
    BoundedHttp,
    BoundedWebSocket,
    Bounds,
    allowed_connections,
)
from narfi.server.failures import Failures
from narfi.server.grpc_server import grpc_server
from narfi.server.observing import Requests
from narfi.server.part_checks import LOOK_S as LOOK_AT_PARTS_S
from narfi.server.part_checks import look
from narfi.server.preparing import prepare
from narfi.server.readiness import Readiness
from narfi.server.rehearsal import rehearse
from narfi.server.reload import Load, Reloader
from narfi.server.shown import show
from narfi.server.start_checks import check_settings
from narfi.server.stopping import Stopping
from narfi.server.tls import HANDSHAKE_S, LOOK_S, Certificates
from narfi.server.wiring import Server, build

log = structlog.get_logger(__name__)

MAX_SOCKET_MESSAGE = 64 * 1024
"""What a client that follows a query may send at once; it need not send anything."""
PING_INTERVAL_S, PONG_TIMEOUT_S = 1.0, 60.0
"""As Loki pings, so that nothing on the way takes a silent socket for idle; a client that does not
answer for so long is gone."""


_TAKEN = "is in use: stop what listens there, or choose another (--http, --grpc)"


class StartError(AppError):
    """The server cannot start; one line says why."""

    kind = ErrorKind.INTERNAL


def serve(settings: Settings, *, insecure: bool = False, load: Load | None = None) -> None:
    """Run until a signal; raises `StartError` and other `AppError`s when it cannot start.

    `load` reads the settings again, at SIGHUP.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something that can read anew
    check_settings(settings)
    check_addresses(settings, insecure=insecure)
    certificates = Certificates(settings.server.tls) if settings.server.tls.is_on else None
    listener = bind(settings.server.http)
    with _telling_of_the_disk(settings):
        server = build(settings)
    try:
        requests = Requests(settings.log.requests)
        reloader = Reloader(
            server=server,
            certificates=certificates,
            load=load,
            in_force=settings,
            requests=requests,
        )
        uvloop.run(_run(server, listener, reloader, requests), loop_factory=_Loop)
    finally:
        server.stop()


@contextlib.contextmanager
def _telling_of_the_disk(settings: Settings) -> Iterator[None]:
    """What the system says of files becomes one line that names the folder."""
    try:
        yield
    except OSError as error:
        message = f"data directory {settings.data_dir} cannot be used: {error.strerror}"
        raise StartError(message) from error


def bind(address: str) -> socket.socket:
    """A listening socket; a clear error when the address is taken."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # inherited by connections: without it, head and body of an answer wait 40 ms for each other
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host.strip("[]"), int(port)))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        reason = _TAKEN if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise StartError(f"address {address} {reason}") from error
    listener.setblocking(False)
    return listener


class _Loop(uvloop.Loop):
    """An event loop whose clients do not take long to begin to speak TLS."""

    async def create_server(self, *arguments: Any, **named: Any) -> Any:
        """Listen; the library of HTTP does not say how long a handshake may take."""
        if named.get("ssl") is not None:
            named.setdefault("ssl_handshake_timeout", HANDSHAKE_S)
        return await super().create_server(*arguments, **named)


class _Uvicorn(uvicorn.Server):
    """Uvicorn without its own signal handling."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours."""
        yield


def _http_server(app: FastAPI, server: Server, certificates: Certificates | None) -> _Uvicorn:
    settings = server.settings.server
    bounds = Bounds(
        read_s=settings.http_server_read_timeout / 1e9,
        write_s=settings.http_server_write_timeout / 1e9,
        idle_s=settings.http_server_idle_timeout / 1e9,
        most=allowed_connections(settings.http_listen_conn_limit),
        in_flight=server.in_flight,
    )
    config = uvicorn.Config(
        app,
        http=partial(BoundedHttp, bounds=bounds),  # type: ignore[arg-type]
        ws=BoundedWebSocket,
        ws_max_size=MAX_SOCKET_MESSAGE,
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PONG_TIMEOUT_S,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=math.ceil(settings.graceful_shutdown_timeout / 1e9),
        server_header=False,
        ssl_context_factory=None if certificates is None else lambda *_: certificates.context(),
    )
    return _Uvicorn(config)


async def _grpc_server(
    server: Server, failures: Failures, requests: Requests, certificates: Certificates | None
) -> grpc.aio.Server:
    try:
        found = grpc_server(server, failures, requests, certificates)
    except RuntimeError as error:
        raise StartError(f"address {server.settings.server.grpc} {_TAKEN}") from error
    await found.start()
    return found


async def _run(
    server: Server, listener: socket.socket, reloader: Reloader, requests: Requests
) -> None:
    readiness, failures, certificates = Readiness(), Failures(), reloader.certificates
    show(server, readiness)
    app = build_app(server, readiness, failures, requests, reloader)
    http = _http_server(app, server, certificates)
    grace_s = server.settings.server.graceful_shutdown_timeout / 1e9
    stopping = Stopping(grace_s)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.signal)
    loop.add_signal_handler(
        signal.SIGHUP, loop.run_in_executor, None, reloader.reload, "signal SIGHUP"
    )
    serving = asyncio.create_task(http.serve(sockets=[listener]))
    looking = asyncio.create_task(_look_at(certificates))
    rpc: grpc.aio.Server | None = None
    rehearsal: asyncio.Task[None] | None = None
    watching: asyncio.Task[None] | None = None
    canary: asyncio.Task[None] | None = None
    try:
        starting = asyncio.create_task(_start(server, readiness))
        stopped = asyncio.create_task(stopping.stopped.wait())
        await asyncio.wait({starting, stopped, serving}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            rpc = await _grpc_server(server, failures, requests, certificates)
            if server.journals.cluster is not None:
                await asyncio.to_thread(server.journals.cluster.listens)
            server.start_upkeep()
            readiness.ready()
            watching = asyncio.create_task(_watch_parts(server, reloader))
            if server.health.canary is not None:
                own = Canary(app, server.health.canary, server.settings, server.clock)
                canary = asyncio.create_task(own.run())
            settings = server.settings
            log.info(
                "narfi is ready",
                http=f"http{'s' if settings.server.tls.is_on else ''}://{settings.server.http}",
                page=page_url(settings) or "none",
                grpc=settings.server.grpc,
                data_dir=str(settings.data_dir),
            )
            rehearsal = asyncio.create_task(_make_ready_to_ask(app, server))
        await asyncio.wait({stopped, serving}, return_when=asyncio.FIRST_COMPLETED)
        readiness.waiting("stopping")
    finally:
        server.begin_stop()
        looking.cancel()
        for task in (rehearsal, watching, canary):
            if task is not None:
                task.cancel()
        http.should_exit = True
        if rpc is not None:
            await rpc.stop(grace_s)
        await serving
        failures.close()


async def _make_ready_to_ask(app: FastAPI, server: Server) -> None:
    """What makes first requests quick; it may end at any time."""
    await asyncio.to_thread(server.load_rest)
    # where kernels are compiled, what it asks for may have to be
    if server.warming.compiled or "querier" not in server.settings.roles:
        return
    await rehearse(app, server.catalog, server.clock)
    if not server.settings.querier.prepare_blocks:
        return
    running = server.queries.running
    await prepare(server.store, server.catalog, server.clock, lambda: bool(running.now()))


async def _look_at(certificates: Certificates | None) -> None:
    """Have changed files noticed, until it is cancelled."""
    while certificates is not None:
        await asyncio.sleep(LOOK_S)
        await asyncio.to_thread(certificates.refresh)


async def _watch_parts(server: Server, reloader: Reloader) -> None:
    """Look how the parts are, again and again, until it is cancelled."""
    while True:
        try:
            await asyncio.to_thread(look, server, reloader)
        except Exception as error:  # noqa: BLE001 - a fault of the look stays there
            log.error("the parts could not be looked at", error=repr(error))
        await asyncio.sleep(LOOK_AT_PARTS_S)


async def _start(server: Server, readiness: Readiness) -> None:
    """In a thread that is there already."""
    loop = asyncio.get_running_loop()
    with _telling_of_the_disk(server.settings):
        await loop.run_in_executor(server.push_pool, server.start, _reporter(readiness))


def _reporter(readiness: Readiness) -> Callable[[str], None]:
    """Tells `/ready` every step, and the log every kind of step once."""
    last = ""

    def report(text: str) -> None:
        nonlocal last
        readiness.waiting(text)
        head = text.split("(")[0]
        if head != last:
            last = head
            log.info("starting", step=head.strip())

    return report
