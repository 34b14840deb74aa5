"""What became of each call over gRPC? An id, a line of the log, counters: as over HTTP.

Before all other interceptors, so calls that are not let in are seen too. The id comes and goes as
metadata, `x-request-id`.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from narfi.access.grpc_guard import address_of
from narfi.core.log import REQUEST_ID
from narfi.core.request_facts import RequestFacts
from narfi.server.failures import ID_HEADER, request_id
from narfi.server.observing import IN_FLIGHT, Requests

METHOD = "gRPC"
"""Stands for the method of a request."""
_FAILED = frozenset(("UNKNOWN", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNIMPLEMENTED"))
_AS_STATUS = {True: 500, False: 200}

Method = Callable[[AsyncIterator[bytes], Any], Awaitable[bytes]]


class ObservedCall:
    """A call and its facts; everything else is the call's."""

    def __init__(self, call: Any, facts: RequestFacts) -> None:
        self._call, self.facts = call, facts

    def __getattr__(self, name: str) -> Any:
        """What the call has."""
        return getattr(self._call, name)


class ObserveCalls(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Sees methods that read a stream, as the interceptors behind it make all of them."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: Any
    ) -> Any:
        """The method, observed."""
        handler = await continuation(details)
        if handler is None or handler.stream_unary is None:
            return handler
        return grpc.stream_unary_rpc_method_handler(
            self._observed(handler.stream_unary, details.method)
        )

    def _observed(self, method: Method, name: str) -> Method:
        async def call(messages: AsyncIterator[bytes], context: Any) -> bytes:
            facts = RequestFacts(
                request_id=request_id(context.invocation_metadata() or ()), route=name
            )
            REQUEST_ID.set(facts.request_id)
            context.set_trailing_metadata(((ID_HEADER.lower(), facts.request_id),))
            began_s, code = time.monotonic(), "CANCELLED"
            IN_FLIGHT.inc()
            try:
                answer = await method(messages, ObservedCall(context, facts))
                code = "OK"
                return answer
            except Exception:
                code = _name(context.code())
                raise
            finally:
                IN_FLIGHT.dec()
                self._ended(facts, code, time.monotonic() - began_s, context)

        return call

    def _ended(self, facts: RequestFacts, code: str, seconds: float, context: Any) -> None:
        self._requests.count(facts.route, METHOD, code, seconds)
        if self._requests.is_told(_AS_STATUS[code in _FAILED], facts.route):
            client = address_of(context.peer())
            self._requests.tell(facts, status=code, seconds=seconds, method=METHOD, client=client)


def _name(code: Any) -> str:
    """Of a status, or of its number."""
    if isinstance(code, grpc.StatusCode):
        return str(code.name)
    return next((one.name for one in grpc.StatusCode if one.value[0] == code), "UNKNOWN")
