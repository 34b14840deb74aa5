"""How does OpenTelemetry push over gRPC? `LogsService/Export`, mapped as over HTTP."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import grpc

from ingester.otlp.bodies import parse_export
from ingester.otlp.mapping import push_of
from ingester.service import PushService
from narfi.core.auth import Tenancy
from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind
from narfi.core.in_flight import Charge, InFlight
from narfi.core.tenant import TenantId

SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"


def logs_handler(
    service: PushService,
    pool: Executor,
    tenancy: Tenancy,
    in_flight: InFlight,
    clock: Clock,
    status_of: Callable[[ErrorKind], Any],
) -> grpc.GenericRpcHandler:
    """The LogsService."""

    async def export(message: bytes, context: Any) -> bytes:
        headers = dict(context.invocation_metadata() or ())

        def work(tenant: TenantId, charge: Charge) -> None:
            pushed = push_of(parse_export(message, charge), clock.now_ns())
            service.push_message(tenant, pushed, charge)

        try:
            tenant = tenancy.tenant(headers, context.grant)
            await service.wait_for_room(tenant)
            loop = asyncio.get_running_loop()
            with in_flight.open() as charge:
                charge.take(len(message))
                await loop.run_in_executor(pool, work, tenant, charge)
        except AppError as error:
            await context.abort(status_of(error.kind), error.brief)
        return b""  # an ExportLogsServiceResponse without partial success

    method = grpc.unary_unary_rpc_method_handler(export)
    return grpc.method_handlers_generic_handler(SERVICE, {"Export": method})
