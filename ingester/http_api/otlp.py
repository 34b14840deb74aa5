"""How does OpenTelemetry push over HTTP? `POST /otlp/v1/logs` (reference/http-api.md §2)."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from fastapi import APIRouter, Request, Response

from ingester.admit import Room
from ingester.otlp.bodies import decode_export
from ingester.otlp.mapping import push_of
from ingester.service import PushService
from narfi.core.auth import Tenancy
from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind
from narfi.core.grant import grant_of
from narfi.core.in_flight import charge_of
from narfi.core.wire.push_encode import varint

PATHS = ("/otlp/v1/logs", "/loki/api/v1/otlp/v1/logs")


def otlp_router(
    service: PushService,
    pool: Executor,
    tenancy: Tenancy,
    clock: Clock,
    status_of: Callable[[ErrorKind], int],
    most_decompressed: int,
) -> APIRouter:
    """The endpoint; errors are `google.rpc.Status` messages."""
    router = APIRouter()

    async def logs(request: Request) -> Response:
        tenant = tenancy.tenant(request.headers, grant_of(request.scope))
        await service.wait_for_room(tenant)
        body = await request.body()
        content_type = request.headers.get("content-type", "")
        encoding = request.headers.get("content-encoding", "")

        room = Room(most_decompressed, charge_of(request.scope))

        def work() -> None:
            export = decode_export(body, content_type, encoding, room)
            service.push_message(tenant, push_of(export, clock.now_ns()), room.charge)

        try:
            await asyncio.get_running_loop().run_in_executor(pool, work)
        except AppError as error:
            status = status_of(error.kind)
            again = error.retry_after_s
            headers = None if again is None else {"Retry-After": str(again)}
            told = status_message(error.message)
            return Response(told, 503 if status == 500 else status, headers)
        return Response(status_code=204)

    for path in PATHS:
        router.add_api_route(path, logs, methods=["POST"], response_model=None)
    return router


def status_message(text: str) -> bytes:
    """A serialised `google.rpc.Status` with only its message."""
    data = text.encode("utf-8", "replace")
    return b"\x12" + varint(len(data)) + data
