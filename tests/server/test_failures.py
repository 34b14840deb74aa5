"""Is an unexpected error one log event without secrets, and does the client get its id?"""

import asyncio
import threading
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from structlog.testing import capture_logs

from narfi.server import failures, http_errors
from narfi.server.failures import CatchFailures, Failures, request_id, told

SECRET = "Basic c2VjcmV0"
Sent = list[MutableMapping[str, Any]]


def scope(kind: str, path: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {
        "type": kind,
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", SECRET.encode()), *headers],
        "subprotocols": [],
    }


def application() -> FastAPI:
    """Fails in a route, and in a socket before and after it was accepted."""
    app = FastAPI()
    http_errors.install(app)

    @app.get("/")
    async def fails(request: Request) -> None:
        secret = request.headers["authorization"]
        raise ZeroDivisionError(f"of {len(secret)} characters")

    @app.websocket("/early")
    async def early(socket: WebSocket) -> None:
        raise ZeroDivisionError(f"of {len(socket.headers['authorization'])} characters")

    @app.websocket("/late")
    async def late(socket: WebSocket) -> None:
        await socket.accept()
        raise ZeroDivisionError(f"of {len(socket.headers['authorization'])} characters")

    return app


def ask(asked: dict[str, Any], first: dict[str, Any]) -> tuple[Sent, list[Any]]:
    """What is sent and what is logged."""
    sent: Sent = []
    told_by = Failures()
    app = application()
    app.add_middleware(CatchFailures, failures=told_by)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return first

    with capture_logs() as logs:
        asyncio.run(app(asked, receive, send))
        told_by.close()
    return sent, list(logs)


def check_log(logs: list[Any]) -> str:
    """One event, without the secret; its request id."""
    (event,) = logs
    assert f"ZeroDivisionError: of {len(SECRET)} characters" in event["trace"]
    assert SECRET not in repr(event)
    assert "exc_info" not in event
    return str(event["request_id"])


@pytest.mark.parametrize(
    ("header", "taken"),
    [(b"abc-1_2.3:4", True), (b'x"\n', False), (b"x" * 65, False), (b"", False)],
)
def test_a_route_that_fails(header: bytes, taken: bool) -> None:
    sent, logs = ask(scope("http", "/", (b"x-request-id", header)), {"type": "http.request"})
    found = check_log(logs)
    assert (found == header.decode()) is taken
    start, body = sent
    assert start["status"] == 500
    assert (b"x-request-id", found.encode()) in start["headers"]
    assert body["body"].decode() == f"{told(found)}\n"


@pytest.mark.parametrize("path", ["/early", "/late"])
def test_a_socket_that_fails(path: str) -> None:
    sent, logs = ask(scope("websocket", path), {"type": "websocket.connect"})
    found = check_log(logs)
    assert sent[-1]["type"] == "websocket.close"
    assert sent[-1]["code"] == 1011
    assert found in sent[-1]["reason"]
    assert len(sent[-1]["reason"].encode()) <= 123  # what a close frame holds


def test_ids_are_different_and_case_does_not_matter() -> None:
    assert request_id(()) != request_id(())
    assert request_id([("X-REQUEST-ID", "a")]) == "a"


def raised() -> Exception:
    try:
        raise ValueError("x")
    except ValueError as error:
        return error


def test_it_is_written_on_another_thread_and_what_is_too_much_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failures, "MAX_WAITING", 2)
    free, names, events = threading.Event(), set(), []

    class Log:
        def error(self, message: str, **facts: object) -> None:
            assert free.wait(60)
            names.add(threading.current_thread().name)
            events.append(facts)

    monkeypatch.setattr(failures, "log", Log())
    found = Failures()
    tell: Callable[[str], None] = lambda name: found.tell(raised(), "/", name)  # noqa: E731
    for name in "abcde":
        tell(name)
    free.set()
    while found._waiting:
        threading.Event().wait(0.001)
    tell("f")
    found.close()
    assert threading.current_thread().name not in names
    assert [(e["request_id"], e.get("untold_before")) for e in events] == [
        ("a", None),
        ("b", None),
        ("f", 3),
    ]
