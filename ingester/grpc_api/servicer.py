"""How does a push arrive over gRPC? `logproto.Pusher/Push`, decoded by the same kernel."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import grpc

from ingester.service import PushService
from narfi.core.auth import Tenancy
from narfi.core.errors import AppError, ErrorKind
from narfi.core.in_flight import InFlight

EMPTY_RESPONSE = b""
"""A serialised PushResponse."""


def pusher_handler(
    service: PushService,
    pool: Executor,
    tenancy: Tenancy,
    in_flight: InFlight,
    status_of: Callable[[ErrorKind], Any],
) -> grpc.GenericRpcHandler:
    """The Pusher service; messages stay bytes."""

    async def push(message: bytes, context: Any) -> bytes:
        headers = dict(context.invocation_metadata() or ())
        try:
            tenant = tenancy.tenant(headers, context.grant)
            await service.wait_for_room(tenant)
            loop = asyncio.get_running_loop()
            with in_flight.open() as charge:
                charge.take(len(message))
                await loop.run_in_executor(pool, service.push_message, tenant, message, charge)
        except AppError as error:
            await context.abort(status_of(error.kind), error.brief)
        return EMPTY_RESPONSE

    method = grpc.unary_unary_rpc_method_handler(push)
    return grpc.method_handlers_generic_handler("logproto.Pusher", {"Push": method})
