"""May this call over gRPC come in? Its method is called with the grant beside the call, or it ends.

Decided from the metadata, before the message is read. A call has its facts (`grpc_observing.py`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from narfi.access.routes import GRPC_NEEDS, OF_PROCESSES
from narfi.access.sign_in import SignIn
from narfi.core.auth import Tenancy
from narfi.core.errors import AppError, ErrorKind
from narfi.core.grant import Grant
from narfi.core.request_facts import RequestFacts

Method = Callable[[AsyncIterator[bytes], Any], Awaitable[bytes]]


class Admitted:
    """A call and its grant; everything else is the call's."""

    def __init__(self, call: Any, grant: Grant) -> None:
        self._call, self.grant = call, grant

    def __getattr__(self, name: str) -> Any:
        """What the call has."""
        return getattr(self._call, name)


class GrpcGuard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Stands before all other interceptors, which make methods that read a stream."""

    def __init__(
        self, sign_in: SignIn, tenancy: Tenancy, status_of: Callable[[ErrorKind], Any]
    ) -> None:
        self._sign_in, self._tenancy, self._status_of = sign_in, tenancy, status_of

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: Any
    ) -> Any:
        """The method behind the door; a method without a scope is none."""
        if details.method in OF_PROCESSES:
            return await continuation(details)
        if details.method not in GRPC_NEEDS:
            return None
        handler = await continuation(details)
        if handler is None:
            return None
        assert handler.stream_unary is not None, "a method that would read before it is asked"
        return grpc.stream_unary_rpc_method_handler(
            self._guarded(handler.stream_unary, details.method)
        )

    def _guarded(self, method: Method, name: str) -> Method:
        need = GRPC_NEEDS[name]

        async def call(messages: AsyncIterator[bytes], context: Any) -> bytes:
            headers = dict(context.invocation_metadata() or ())
            try:
                address = address_of(context.peer())
                grant = self._sign_in.grant(_text(headers), address, need.scopes)
                facts: RequestFacts = context.facts
                facts.token = grant.name
                facts.tenant = "|".join(self._tenancy.check(headers, grant))
            except AppError as error:
                await context.abort(self._status_of(error.kind), error.brief)
            return await method(messages, Admitted(context, grant))

        return call


def _text(headers: dict[str, Any]) -> str:
    found = headers.get("authorization", "")
    return found if isinstance(found, str) else ""


def address_of(peer: str) -> str:
    """The address of `ipv4:127.0.0.1:3100`, without the port."""
    return peer.partition(":")[2].rpartition(":")[0]
