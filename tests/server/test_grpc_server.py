"""Are calls over gRPC bounded in size, number and time, and are their errors told with an id?"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from structlog.testing import capture_logs

from benchmarks.server import free_port
from narfi.access.sign_in import SignIn
from narfi.core.auth import Tenancy
from narfi.core.clock import SystemClock
from narfi.core.in_flight import Charge, InFlight
from narfi.core.settings import ServerSettings, Settings
from narfi.server.failures import Failures
from narfi.server.grpc_server import grpc_server
from narfi.server.observing import Requests
from narfi.server.tokens import Tokens
from narfi.server.wiring import Server
from tests.server.test_connections import wait_for

PUSH = "/logproto.Pusher/Push"
EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
READ_S = 0.5
MOST_CALLS = 2
BUDGET = 5000
Code = grpc.StatusCode


class Pushes:
    """Stands in for the push service: keeps what came, holds or fails on a word."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.messages: list[bytes] = []
        self.free = threading.Event()

    async def wait_for_room(self, _tenant: str) -> None:
        """There is room."""

    def push_message(self, _tenant: str, message: bytes, charge: Charge) -> None:
        """What a message says is done."""
        assert isinstance(charge, Charge)
        if message.startswith(b"fail"):
            raise ZeroDivisionError("by a push")
        self.messages.append(message)
        if message.startswith(b"hold"):
            assert self.free.wait(60)


Client = Callable[[grpc.aio.Channel, Pushes, InFlight], Awaitable[None]]


def run(client: Client) -> list[Any]:
    """Let a client talk to a listener; the log."""
    pushes = Pushes(f"127.0.0.1:{free_port()}")
    in_flight, failures = InFlight(BUDGET), Failures()
    pool = ThreadPoolExecutor(4)
    settings = Settings(
        server=ServerSettings.model_validate(
            {
                "grpc": pushes.address,
                "http_server_read_timeout": f"{READ_S}s",
                "grpc_server_max_recv_msg_size": 4000,
                "grpc_server_max_concurrent_rpcs": MOST_CALLS,
            }
        ),
        limits={},
        overrides={},
    )
    parts = SimpleNamespace(
        settings=settings,
        pushes=pushes,
        push_pool=pool,
        tenancy=Tenancy("single"),
        tokens=Tokens(SignIn((), SystemClock())),
        in_flight=in_flight,
        clock=SystemClock(),
        head_service=None,
    )

    async def talk() -> None:
        server = grpc_server(cast(Server, parts), failures, Requests("none"))
        await server.start()
        try:
            async with grpc.aio.insecure_channel(settings.server.grpc) as channel:
                await client(channel, pushes, in_flight)
        finally:
            pushes.free.set()
            await server.stop(60)

    with capture_logs() as logs:
        asyncio.run(talk())
        failures.close()
    pool.shutdown()
    assert in_flight.used == 0
    return list(logs)


async def status(call: Any) -> tuple[grpc.StatusCode, str]:
    """How a call ends."""
    return await call.code(), await call.details()


def push(channel: grpc.aio.Channel, message: bytes, *metadata: tuple[str, str]) -> Any:
    return channel.unary_unary(PUSH)(message, timeout=60, metadata=metadata)


async def never() -> AsyncIterator[bytes]:
    """A client whose message does not come."""
    await asyncio.Event().wait()
    yield b""


def test_a_message_comes_through_and_gives_back_what_it_held() -> None:
    async def client(channel: grpc.aio.Channel, pushes: Pushes, in_flight: InFlight) -> None:
        assert await push(channel, b"good") == b""
        assert pushes.messages == [b"good"]
        exported = channel.unary_unary(EXPORT)(b"", timeout=60)
        assert (await exported, len(pushes.messages)) == (b"", 2)
        assert in_flight.used == 0

    assert run(client) == []


def test_a_message_that_is_too_large() -> None:
    async def client(channel: grpc.aio.Channel, pushes: Pushes, _: InFlight) -> None:
        code, told = await status(push(channel, b"x" * 4001))
        assert code is Code.RESOURCE_EXHAUSTED
        assert "4001 vs. 4000" in told
        assert pushes.messages == []

    run(client)


def test_all_messages_together_have_a_limit() -> None:
    async def client(channel: grpc.aio.Channel, pushes: Pushes, in_flight: InFlight) -> None:
        first = push(channel, b"hold" + b"x" * 2996)
        await asyncio.to_thread(wait_for, lambda: in_flight.used >= 3000)
        code, told = await status(push(channel, b"x" * 3000))
        assert code is Code.UNAVAILABLE
        assert "server.max_inflight_bytes (5000)" in told
        pushes.free.set()
        await first

    run(client)


def test_calls_whose_message_does_not_come_end_and_free_their_places() -> None:
    """On a connection of their own: one connection's calls wait for each other in the client.

    On a busy machine the stalled calls may end before another comes, which is then let in and
    may take the place of one of them: then once more.
    """

    async def client(channel: grpc.aio.Channel, pushes: Pushes, __: InFlight) -> None:
        method = channel.stream_unary(PUSH)
        stalled: list[asyncio.Task[tuple[grpc.StatusCode, str]]] = []
        refused = Code.OK
        own = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(pushes.address, own) as other:
            assert await push(other, b"connected") == b""
            while refused is Code.OK and len(stalled) < 40 * MOST_CALLS:
                now = [asyncio.create_task(status(method(never()))) for _ in range(MOST_CALLS)]
                stalled += now
                while refused is Code.OK and not all(task.done() for task in now):
                    refused, _ = await status(push(other, b"too many"))
        assert refused is Code.RESOURCE_EXHAUSTED
        ends = await asyncio.gather(*stalled)
        assert {code for code, _ in ends} <= {Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED}
        late = [told for code, told in ends if code is Code.DEADLINE_EXCEEDED]
        assert late
        assert all("server.http_server_read_timeout" in told for told in late)
        assert await push(channel, b"good") == b""

    run(client)


def test_a_call_without_a_message() -> None:
    async def none() -> AsyncIterator[bytes]:
        if PUSH == EXPORT:  # it yields nothing
            yield b""

    async def client(channel: grpc.aio.Channel, _: Pushes, __: InFlight) -> None:
        code, told = await status(channel.stream_unary(PUSH)(none()))
        assert (code, told) == (Code.INVALID_ARGUMENT, "the call has no message")

    assert run(client) == []


@pytest.mark.parametrize("given", ["", "of-the-client"])
def test_an_unexpected_error(given: str) -> None:
    found: list[str] = []

    async def client(channel: grpc.aio.Channel, _: Pushes, __: InFlight) -> None:
        metadata = [("authorization", "secret"), ("x-request-id", given)]
        code, told = await status(push(channel, b"fail", *metadata))
        assert code is Code.INTERNAL
        found.append(told)

    (event,) = run(client)
    assert f"(request id {event['request_id']})" in found[0]
    assert event["request_id"] == given or not given
    assert "ZeroDivisionError: by a push" in event["trace"]
    assert "secret" not in repr(event)
