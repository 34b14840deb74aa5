"""What is wrong with a running server? Does it answer, let us in, what does it say of itself?"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from narfi.cli.client import Connection, ServerError
from narfi.cli.findings import Findings, fine, problem, warning
from narfi.cli.flags import DEFAULT_ADDRESS

if TYPE_CHECKING:
    from narfi.core.settings import Settings

ASK_S = 20.0
"""For one question."""
SKEW_S, BAD_SKEW_S = 5.0, 60.0
"""Between two clocks: from then on somebody should look; lines are refused, logs expire early."""
FULL_SHARE = 0.9
LEVELS = {"failing": "problem", "degraded": "warning"}


def server_findings(connection: Connection, settings: "Settings | None") -> Findings:
    """What a server says, at the address of the flags or else of the settings."""
    connection = _at_settings(connection, settings)
    status, text = _ask(connection, "/ready")
    if status is None:
        yield problem(
            "server",
            f"no server answers at {connection.address}: {text}",
            "start it (narfi serve; its log says why it ended), or name its --addr",
        )
        return
    if status == 503:
        yield warning("server", text.strip(), "wait; its log tells what it is doing")
    elif status != 200:
        step = "name the address of a Narfi server with --addr"
        yield problem("server", f"{connection.address}/ready answers {status}", step)
        return
    else:
        yield fine("server", f"{connection.address} is ready")
    yield from _signed_in(connection)


def _at_settings(connection: Connection, settings: "Settings | None") -> Connection:
    if settings is None or connection.address != DEFAULT_ADDRESS:
        return connection
    scheme = "https" if settings.server.tls.is_on else "http"
    host, _, port = settings.server.http.rpartition(":")
    if host in ("", "0.0.0.0", "[::]"):
        host = "localhost"
    return replace(connection, address=f"{scheme}://{host}:{port}{settings.server.path_prefix}")


def _signed_in(connection: Connection) -> Findings:
    status, text = _ask(connection, "/narfi/api/v1/status")
    if status == 200:
        told = json.loads(text)
        yield from _clock(told)
        yield from _parts(told)
        yield from _process(connection)
    elif status in (401, 403):
        yield problem(
            "token",
            f"the server does not let us ask for its state: {text.strip()}",
            "give a token with the scope admin: --bearer-token or LOKI_BEARER_TOKEN (narfi token "
            "create --scope admin; narfi token list shows those that there are)",
        )
    else:
        step = "look at the server's log; is it a Narfi of this version?"
        yield problem("server", f"/narfi/api/v1/status answers {status}: {text.strip()}", step)
    yield from _tenant(connection)


def _clock(told: dict[str, Any]) -> Findings:
    skew_s = abs(told["now_ns"] / 1e9 - time.time())
    if skew_s > SKEW_S:
        finding = problem if skew_s > BAD_SKEW_S else warning
        yield finding(
            "clock",
            f"the server's clock and that of this machine differ by {skew_s:.0f} s",
            "synchronise both (chrony, systemd-timesyncd): lines are refused as too old or of the "
            "future, and logs expire at the wrong time",
        )
    else:
        yield fine("clock", f"it agrees with the server's within {SKEW_S:.0f} s")


def _parts(told: dict[str, Any]) -> Iterator[Any]:
    for one in told["parts"]:
        if one["state"] == "ok":
            yield fine(one["part"], "it says that it is well")
        else:
            finding = problem if LEVELS[one["state"]] == "problem" else warning
            yield finding(one["part"], one["what"], one["step"])
    if told["last_backup"] is None:
        step = "run narfi backup from a timer (docs/operations.md, Backup)"
        yield warning("backup", "no backup of this server was ever made", step)


def _process(connection: Connection) -> Findings:
    """What its metrics say of the process."""
    status, text = _ask(connection, "/metrics")
    if status != 200:
        return
    names = ("process_open_fds", "process_max_fds", "narfi_unexpected_errors_total")
    found = {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[:1] != "#")
        if name in names
    }
    used, most = found.get("process_open_fds", 0.0), found.get("process_max_fds", 0.0)
    if most and used > FULL_SHARE * most:
        yield problem(
            "open files",
            f"the server has {used:.0f} files open and may have {most:.0f}",
            "raise LimitNOFILE= of its unit, or ulimit -n before it is started",
        )
    if errors := found.get("narfi_unexpected_errors_total", 0.0):
        yield warning(
            "errors",
            f"{errors:.0f} requests ended in an error of the server's own since it was started",
            "look for `request failed` in its log, and report it: it is a bug",
        )


def _tenant(connection: Connection) -> Findings:
    """Whether this client may ask for logs."""
    status, text = _ask(connection, "/loki/api/v1/labels")
    if status == 200:
        yield fine("tenant", "queries are answered")
    elif status in (400, 401) and "org id" in text:
        yield problem(
            "tenant",
            f"a query is refused: {text.strip()}",
            "name the tenant with --org-id (clients: the header X-Scope-OrgID)",
        )
    elif status in (401, 403):
        yield warning(
            "tenant",
            f"a query is refused: {text.strip()}",
            "none, if this token is not for reading; else one with the scope read and the tenant",
        )
    elif status != 503:
        step = "look at the server's log"
        yield problem("tenant", f"a query is answered with {status}: {text.strip()}", step)


def _ask(connection: Connection, path: str) -> tuple[int | None, str]:
    """Status and text; None where there is no answer."""
    try:
        answer = connection.answer(path, ASK_S)
    except ServerError as error:
        return None, error.message
    return answer.status_code, answer.text
