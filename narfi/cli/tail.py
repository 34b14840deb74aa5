"""How does `query --tail` follow? Over the WebSocket, until Ctrl-C (reference/logcli.md §5)."""

import contextlib
import json
import sys
import time
import urllib.parse
from typing import Any

from narfi.cli.client import Connection, ServerError
from narfi.cli.output import EntryPrinter, text_of

ATTEMPTS = 5
ABNORMAL = 1006


def follow(
    connection: Connection,
    logql: str,
    printer: EntryPrinter,
    start_ns: int,
    limit: int,
    delay_s: int,
) -> None:
    """Print entries as they come; a connection that breaks off is made again."""
    from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

    attempt = 0
    while True:
        try:
            with _connect(connection, logql, start_ns, limit, delay_s) as socket:
                attempt = 0
                while True:
                    message = json.loads(socket.recv())
                    connection.warn(message.get("warnings") or ())
                    start_ns = _show(message, printer, start_ns)
        except InvalidStatus as error:
            text = (error.response.body or b"").decode("utf-8", "replace").strip()
            raise ServerError(f"Tailing logs failed: error response from server: {text}") from error
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd is not None else ABNORMAL
            if code != ABNORMAL:
                reason = error.rcvd.reason if error.rcvd is not None else ""
                print(f"Error reading stream: {code} {reason}", file=sys.stderr)
                return
        except (OSError, WebSocketException) as error:
            if attempt == 0 and not isinstance(error, ConnectionError):
                raise ServerError(f"Tailing logs failed: {error}") from error
            if attempt >= ATTEMPTS:
                raise ServerError(f"Tailing logs failed: {error}") from error
        attempt += 1
        if attempt > ATTEMPTS:
            raise ServerError("Tailing logs failed: the connection cannot be made again")
        time.sleep(min(10, 2 ** (attempt - 1)))


def _connect(connection: Connection, logql: str, start_ns: int, limit: int, delay_s: int) -> Any:
    from websockets.sync.client import connect

    params = [("query", logql), ("limit", str(limit)), ("start", str(start_ns))]
    if delay_s:
        params.append(("delay_for", str(delay_s)))
    address = connection.url("/loki/api/v1/tail").replace("http", "ws", 1)
    url = f"{address}?{urllib.parse.urlencode(params)}"
    if not connection.quiet:
        print(url, file=sys.stderr)
    headers = connection.headers()
    agent = headers.pop("User-Agent")
    headers.pop("Accept-Encoding", None)
    context = connection.tls_context() if url.startswith("wss") else None
    return connect(
        url, additional_headers=headers, user_agent_header=agent, ssl=context, close_timeout=2
    )


def _show(message: Any, printer: EntryPrinter, last_ns: int) -> int:
    for stream in message.get("streams") or []:
        for ts, line, *_ in stream["values"]:
            printer.entry(int(ts), stream["stream"], line)
            last_ns = max(last_ns, int(ts))
    dropped = message.get("dropped_entries") or []
    if dropped:
        print("Server dropped following entries due to slow client", file=sys.stderr)
        for entry in dropped:
            print(f"{entry['timestamp']} {text_of(entry['labels'])}", file=sys.stderr)
    with contextlib.suppress(BrokenPipeError):
        printer.out.flush()
    return last_ns
