"""`/narfi/api/v1/sql`: stored lines as tables, asked in SQL, for people who are not trusted.

A DuckDB of its own for each request, over the visible blocks of the tenant alone, less what pending
delete requests hide. Who may not see all streams is refused: nothing there would hold a policy.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import orjson
from fastapi import APIRouter, Request, Response

from narfi.core.errors import InvalidRequestError
from narfi.core.grant import grant_of
from narfi.core.threads import SYSTEM_THREADS
from querier.budget import Budget
from querier.http_api.params import Parameters, parse_count
from querier.http_api.requests import (
    QueryContext,
    bounds_of,
    in_pool,
    json_response,
    parameters_from,
)
from querier.http_api.warnings import warnings_of
from querier.sql.opening import Asked, StoredLogs
from querier.sql.session import Confines, SqlSession
from querier.sql.table_lists import Table, TableLists
from querier.sql.views import Period

PATH = "/narfi/api/v1/sql"
MOST_ROWS = 10_000
MEMORY_BYTES = 256 << 20
"""Of a statement, where max_query_memory allows so much; charged as long as it runs."""
THREADS = 2
LOOK_S = 0.05
NOT_HERE = (
    "SQL needs DuckDB and blocks on local disk: install the extra, pip install 'narfi[sql]', on a "
    "server without storage.url and catalog.url\n"
)


@dataclass(frozen=True, slots=True)
class _Question:
    """Parameters of a statement, and what of them came as numbers, as texts."""

    sql: str
    parameters: Parameters


def sql_router(context: QueryContext, folder: Path | None) -> APIRouter:
    """The endpoints; `folder`: the data folder, None where blocks or the catalog are elsewhere."""
    router, lists = APIRouter(), TableLists()

    def stored_of(request: Request, parameters: Parameters) -> StoredLogs:
        grant = grant_of(request.scope)
        grant.check_sees_all("SQL")
        tenant = context.tenancy.tenant(request.headers, grant)
        bounds = bounds_of(context, (tenant,), parameters)
        assert folder is not None
        period = Period(bounds.start_ns, max(bounds.end_ns, bounds.start_ns + 1))
        return StoredLogs(folder, Asked(tenant=tenant, period=period))

    @router.post(PATH)
    async def run(request: Request) -> Response:
        if not _is_there(folder):
            return Response(NOT_HERE, 501, media_type="text/plain; charset=utf-8")
        asked = _question(await request.body())
        limit = parse_count(asked.parameters, "limit") or MOST_ROWS
        stored = stored_of(request, asked.parameters)

        def work(budget: Budget) -> bytes:
            began = time.monotonic()
            most = min(MEMORY_BYTES, budget.most_memory or MEMORY_BYTES)
            confines = Confines(memory_bytes=most, threads=THREADS, rows=min(limit, MOST_ROWS))
            with budget.account() as account, account.held(most):
                try:
                    found = stored.answer(asked.sql, confines, lambda one: _watched(one, budget))
                except InvalidRequestError:
                    raise
                except Exception:
                    budget.check()  # it was interrupted: then this is what is told
                    raise
            columns = [{"name": one.name, "type": one.kind} for one in found.columns]
            return orjson.dumps(
                {
                    "columns": columns,
                    "rows": found.rows,
                    "truncated": found.truncated,
                    "ms": round(1000 * (time.monotonic() - began)),
                    "warnings": warnings_of(stored.warnings()),
                }
            )

        return json_response(await in_pool(context, request, work))

    @router.get(f"{PATH}/tables")
    async def tables(request: Request) -> Response:
        if not _is_there(folder):
            return Response(NOT_HERE, 501, media_type="text/plain; charset=utf-8")
        stored = stored_of(request, parameters_from(request.scope["query_string"]))

        def work(budget: Budget) -> bytes:
            found = [_told(one) for one in lists.of(stored, lambda one: _watched(one, budget))]
            return orjson.dumps({"tables": found, "warnings": warnings_of(stored.warnings())})

        return json_response(await in_pool(context, request, work))

    return router


def _told(table: Table) -> dict[str, object]:
    return {
        "name": table.name,
        "columns": [{"name": one.name, "type": one.kind} for one in table.columns],
        "rows": table.rows,
        "template": table.template,
    }


def _is_there(folder: Path | None) -> bool:
    return folder is not None and find_spec("duckdb") is not None


def _question(body: bytes) -> _Question:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"the body is no JSON: {error}") from None
    if not isinstance(given, dict) or not isinstance(given.get("sql"), str):
        raise InvalidRequestError('the body is an object with a text "sql"')
    pairs = [(name, str(given[name])) for name in ("start", "end", "limit") if name in given]
    return _Question(given["sql"], Parameters(pairs))


@contextmanager
def _watched(session: SqlSession, budget: Budget) -> Iterator[None]:
    """Interrupt the session when its request is over: DuckDB does not look at the clock."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_S):
            if budget.is_over():
                session.interrupt()

    thread = SYSTEM_THREADS.start("sql watch", watch)
    try:
        yield
    finally:
        ended.set()
        thread.join()
