"""What may a call over gRPC cost, and what becomes of its errors? The listener and its limits.

Invariant: a call that holds one of the places has a time in which its message must be whole.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from ingester.grpc_api.heads import heads_handler
from ingester.grpc_api.otlp import logs_handler
from ingester.grpc_api.servicer import pusher_handler
from narfi.access.grpc_guard import GrpcGuard
from narfi.core.settings import ServerSettings
from narfi.server.failures import Failures, told
from narfi.server.grpc_errors import status_of
from narfi.server.grpc_observing import ObserveCalls
from narfi.server.observing import Requests
from narfi.server.tls import HANDSHAKE_S, Certificates
from narfi.server.wiring import Server

MAX_METADATA_BYTES = 64 * 1024
"""Metadata of a call, which HTTP/2 sends as headers."""

Unary = Callable[[bytes, Any], Awaitable[bytes]]


def grpc_server(
    server: Server,
    failures: Failures,
    requests: Requests,
    certificates: Certificates | None = None,
) -> grpc.aio.Server:
    """A listener that is not started; a `RuntimeError` says that the address is taken."""
    settings = server.settings.server
    found = grpc.aio.server(
        options=_options(settings),
        maximum_concurrent_rpcs=settings.grpc_server_max_concurrent_rpcs,
        interceptors=(
            ObserveCalls(requests),
            GrpcGuard(server.tokens.sign_in, server.tenancy, status_of),
            CallLimits(settings.http_server_read_timeout / 1e9, failures),
        ),
    )
    parts = (server.pushes, server.push_pool, server.tenancy, server.in_flight)
    if "ingester" in server.settings.roles:
        handlers = [
            pusher_handler(*parts, status_of),
            logs_handler(*parts, server.clock, status_of),
        ]
        if server.head_service is not None:
            handlers.append(heads_handler(server.head_service, status_of))
        found.add_generic_rpc_handlers(handlers)
    if certificates is None:
        port = found.add_insecure_port(settings.grpc)
    else:
        port = found.add_secure_port(settings.grpc, certificates.grpc_credentials())
    if port == 0:
        raise RuntimeError(settings.grpc)
    return found


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    idle_ms = settings.http_server_idle_timeout // 10**6
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.grpc_server_max_recv_msg_size),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.max_concurrent_streams", settings.grpc_server_max_concurrent_rpcs),
        ("grpc.max_connection_idle_ms", min(idle_ms, 2**31 - 1)),
        ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_S * 1000)),
        ("grpc.keepalive_time_ms", 60_000),  # a peer that is gone is noticed
        ("grpc.keepalive_timeout_ms", 20_000),
    ]


class CallLimits(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """A message is whole in time, or its call ends; unexpected errors are told with an id.

    The library gives a method its message once that is whole, however long it takes. So every
    method is given to it as one that reads a stream, and the one message is read here.
    """

    def __init__(self, read_s: float, failures: Failures) -> None:
        self._read_s, self._failures = read_s, failures

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: Any
    ) -> Any:
        """The method with its limits."""
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler
        return grpc.stream_unary_rpc_method_handler(
            self._limited(handler.unary_unary, details.method)
        )

    def _limited(self, method: Unary, name: str) -> Callable[..., Awaitable[bytes]]:
        async def call(messages: AsyncIterator[bytes], context: Any) -> bytes:
            message = await self._message(messages, context)
            try:
                return await method(message, context)
            except grpc.aio.AbortError:
                raise
            except Exception as error:
                found = context.facts.request_id
                self._failures.tell(error, name, found)
                await context.abort(grpc.StatusCode.INTERNAL, told(found))
                raise  # `abort` does

        return call

    async def _message(self, messages: AsyncIterator[bytes], context: Any) -> bytes:
        try:
            async with asyncio.timeout(self._read_s):
                return await anext(messages)
        except TimeoutError:
            message = (
                f"the message was not whole within {self._read_s:g}s "
                "(server.http_server_read_timeout)"
            )
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, message)
        except StopAsyncIteration:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call has no message")
        raise AssertionError("`abort` raises")
