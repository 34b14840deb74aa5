"""Who sees and ends which request, and what is remembered of it?"""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from narfi.core.auth import Tenancy
from narfi.core.clock import SystemClock
from narfi.core.errors import AppError
from narfi.core.grant import ALL_STREAMS, GRANT_KEY, Grant, Scope
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.budget import Budget, QueryCancelledError, QueryMemoryError
from querier.executors.fair import FairPool
from querier.http_api.queries import queries_router
from querier.http_api.requests import QueryContext, in_pool
from querier.running import MOST_RECENT, Asked, Running, StoppingError
from querier.service import QueryService

A, B = TenantId("a"), TenantId("b")
PATH = "/narfi/api/v1/queries"


def test_what_runs_and_what_has_ended() -> None:
    running = Running()
    with running.one(Asked(tenants=(A,), route="/r", text='{a="b"}', who="me")) as budget:
        (one,) = running.now()
        assert one.budget is budget
        assert budget.is_waiting
        budget.begin_work()
        assert not budget.is_waiting
        budget.charge(100)
        budget.read(7)
        assert running.recent() == []
    assert running.now() == []
    (ended,) = running.recent()
    assert (ended.query_id, ended.peak_bytes, ended.read_bytes) == (one.query_id, 100, 7)
    assert ended.error is None


def test_the_newest_of_those_that_ended_are_remembered() -> None:
    running = Running()
    for number in range(MOST_RECENT + 5):
        with running.one(Asked(text=str(number))):
            pass
    texts = [one.asked.text for one in running.recent()]
    assert texts == [str(MOST_RECENT + 4 - k) for k in range(MOST_RECENT)]


def test_why_one_failed_is_remembered() -> None:
    running = Running()

    def fail() -> None:
        with running.one(Asked()):
            raise QueryMemoryError("too much memory")

    with pytest.raises(QueryMemoryError):
        fail()
    assert running.recent()[0].error == "too much memory"


def test_attempts_are_told_the_reason_and_their_reading_counts() -> None:
    budget = Budget()
    with budget.attempt() as tried:
        tried.read(5)
        assert budget.bytes_read == 5
        budget.cancel("stopped by ops")
        budget.cancel("too late")
        with pytest.raises(QueryCancelledError, match="stopped by ops"):
            tried.check()
    with budget.attempt() as late, pytest.raises(QueryCancelledError, match="stopped by ops"):
        late.check()
    assert budget.cancelled_because == "stopped by ops"


def test_a_client_that_went_away_is_no_one_elses_doing() -> None:
    budget = Budget()
    budget.cancel()
    assert budget.cancelled_because is None
    with pytest.raises(QueryCancelledError, match="by the client"):
        budget.check()


def test_a_stopping_server_cancels_those_that_come() -> None:
    running = Running()
    running.stop()
    with running.one(Asked()) as budget:
        assert budget.is_over()


class _Service:
    def limits_of(self, _tenant: str) -> Limits:
        return Limits()


class Place:
    """The endpoints of a process, in which a query of each of some clients waits to be ended."""

    def __init__(self, mode: Any = "header") -> None:
        self.pool, self.may_end = FairPool(8, max_waiting=10), threading.Event()
        self.context = QueryContext(
            service=cast(QueryService, _Service()),
            pool=self.pool,
            tenancy=Tenancy(mode),
            clock=SystemClock(),
            running=Running(),
        )
        self.app = FastAPI()
        self.app.include_router(queries_router(self.context))

        async def told(_request: Request, error: Exception) -> PlainTextResponse:
            assert isinstance(error, AppError)
            return PlainTextResponse(error.message, 404 if "no query" in error.message else 403)

        self.app.add_exception_handler(AppError, told)

    def close(self) -> None:
        """End what is left."""
        self.may_end.set()
        self.pool.close()

    async def ask(self, grant: Grant, tenant: str, text: str) -> str:
        """A query that checks its budget until it is ended; what its client is told."""
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/loki/api/v1/query",
            "headers": [(b"x-scope-orgid", tenant.encode())],
            "query_string": f"query={text}".encode(),
            GRANT_KEY: grant,
        }

        async def receive() -> Any:
            await asyncio.sleep(3600)

        def work(budget: Budget) -> None:
            while not self.may_end.wait(0.01):
                budget.check()

        try:
            await in_pool(self.context, Request(scope, receive), work)
        except AppError as error:
            return error.message
        return "answered"

    async def send(self, grant: Grant, method: str, path: str, tenant: str = "") -> tuple[int, Any]:
        """Status and body of a request of the endpoints."""
        sent: list[dict[str, Any]] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "headers": [(b"x-scope-orgid", tenant.encode())] if tenant else [],
            "query_string": b"",
            GRANT_KEY: grant,
        }
        await self.app(scope, receive, send)
        body = b"".join(part.get("body", b"") for part in sent)
        status = int(sent[0]["status"])
        return status, json.loads(body) if status == 200 else body.decode()

    async def seen(self, grant: Grant, tenant: str = "") -> list[str]:
        """Texts of the queries that somebody sees."""
        status, body = await self.send(grant, "GET", PATH, tenant)
        assert status == 200
        return sorted(one["query"] for one in body["queries"])


def grant(
    name: str, *scopes: Scope, tenants: frozenset[TenantId] | None, policy: bool = False
) -> Grant:
    """Of a token."""
    streams = (Matcher("ns", MatchOp.EQ, "x"),) if policy else ALL_STREAMS
    return Grant(name=name, tenants=tenants, scopes=frozenset(scopes), streams=streams)


OF_A = grant("alice", Scope.READ, tenants=frozenset((A,)))
ALSO_A = grant("adam", Scope.READ, tenants=frozenset((A,)), policy=True)
OF_B = grant("bob", Scope.READ, tenants=frozenset((B,)))
OPS = grant("ops", Scope.ADMIN, tenants=None)


async def _until(there: Callable[[], bool]) -> None:
    while not there():  # noqa: ASYNC110  what is waited for happens on threads
        await asyncio.sleep(0.01)


def run(case: Callable[[Place, list["asyncio.Task[str]"]], Any]) -> None:
    """A case while queries of three clients run."""
    place = Place()

    async def all_of_it() -> None:
        asks = [(OF_A, "a", "qa"), (ALSO_A, "a", "qp"), (OF_B, "b", "qb")]
        tasks = [asyncio.create_task(place.ask(*ask)) for ask in asks]
        await _until(
            lambda: sum(not one.budget.is_waiting for one in place.context.running.now()) == 3
        )
        try:
            await case(place, tasks)
        finally:
            place.may_end.set()
            await asyncio.gather(*tasks)

    try:
        asyncio.run(asyncio.wait_for(all_of_it(), 60))
    finally:
        place.close()


def test_a_tenant_sees_its_own_and_an_operator_all() -> None:
    async def case(place: Place, _tasks: Any) -> None:
        assert await place.seen(OF_A) == ["qa", "qp"]
        assert await place.seen(OF_A, "a") == ["qa", "qp"]
        assert await place.seen(OF_B) == ["qb"]
        assert await place.seen(OPS) == ["qa", "qb", "qp"]
        assert await place.seen(OPS, "b") == ["qb"]
        assert await place.seen(ALSO_A) == ["qp"], "a policy hides what others of the tenant ask"
        assert (await place.send(OF_A, "GET", PATH, "b"))[0] == 403

    run(case)


def test_ending_one() -> None:
    async def case(place: Place, tasks: list["asyncio.Task[str]"]) -> None:
        ids = {one.asked.text: one.query_id for one in place.context.running.now()}
        assert (await place.send(OF_B, "DELETE", f"{PATH}/{ids['qa']}"))[0] == 404
        assert (await place.send(ALSO_A, "DELETE", f"{PATH}/{ids['qa']}"))[0] == 404
        status, body = await place.send(OPS, "DELETE", f"{PATH}/{ids['qa']}")
        assert (status, body) == (200, {"cancelled": ids["qa"]})
        assert await tasks[0] == f"query {ids['qa']} was cancelled by ops"
        assert (await place.send(OF_B, "POST", f"{PATH}/{ids['qb']}/cancel"))[0] == 200
        assert await tasks[2] == f"query {ids['qb']} was cancelled by bob"
        assert not tasks[1].done()
        status, text = await place.send(OPS, "DELETE", f"{PATH}/{ids['qa']}")
        assert status == 404
        assert f"no query {ids['qa']} runs" in text
        recent = (await place.send(OPS, "GET", PATH))[1]["recent"]
        assert {one["error"] for one in recent} == {
            f"query {ids['qa']} was cancelled by ops",
            f"query {ids['qb']} was cancelled by bob",
        }

    run(case)


def test_a_stopping_server_says_so() -> None:
    async def case(place: Place, tasks: list["asyncio.Task[str]"]) -> None:
        place.context.running.stop()
        assert await tasks[0] == StoppingError().message

    run(case)
