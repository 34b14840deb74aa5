"""What is wrong with an agent? Its configuration, files, positions, servers, and what it says."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from narfi.cli.findings import Findings, fine, problem, tried, warning
from narfi.core.errors import AppError
from narfi.core.units import shown_bytes

if TYPE_CHECKING:
    from promtail_agent.client.config import ClientConfig
    from promtail_agent.config import AgentConfig, ScrapeConfig

ASK_S = 10.0
MANY_BYTES = 64 * 1024 * 1024
"""Of files that are not delivered yet: more is told as a warning."""
MOST_FILES = 5
"""Named one by one."""


def agent_findings(path: Path, *, expand_env: bool, offline: bool) -> Findings:
    """Everything that the agent's configuration names."""
    from promtail_agent.config_file import load_agent_config

    try:
        config = load_agent_config(str(path), expand_env)
    except (AppError, OSError) as error:
        step = "mend it (docs/agent.md lists all keys), then narfi check-config --agent"
        yield problem("configuration", str(error), step)
        return
    yield fine("configuration", f"{path}: can be used")
    for notice in config.notices:
        yield warning("configuration", notice, "take the key out, or look it up in docs/agent.md")
    yield from tried("positions", lambda: _positions(config), "give the agent a file it can write")
    yield from tried("targets", lambda: _targets(config), "let the agent's user read its files")
    if not offline:
        for client in config.clients:
            yield from tried("server", partial(_client, client), "mend the client")
        yield from _running(config)


def _positions(config: "AgentConfig") -> Findings:
    from promtail_agent.positions import is_cursor, load_positions

    file = Path(config.positions.filename)
    folder = file.absolute().parent
    if not os.access(folder, os.W_OK):
        step = f"make {folder}, writable for the agent, or set positions.filename"
        yield problem("positions", f"{folder} is not there or cannot be written", step)
        return
    saved = load_positions(file, config.positions.ignore_invalid_yaml)
    behind = 0
    for name, position in saved.items():
        path = Path(name)
        if not is_cursor(name) and path.is_file():
            behind += max(0, path.stat().st_size - position.offset)
    told = f"{len(saved)} files are known, {shown_bytes(behind)} of them are not delivered"
    if behind > MANY_BYTES:
        step = "see the part server; else the agent needs more CPU, or the server a higher limit"
        yield warning("positions", told, step)
    else:
        yield fine("positions", told)


def _targets(config: "AgentConfig") -> Findings:
    for job in config.scrape_configs:
        for pattern in _patterns(job):
            yield from _files(job.job_name, pattern)


def _patterns(job: "ScrapeConfig") -> Iterator[str]:
    for group in job.static_configs:
        if pattern := group.labels.get("__path__"):
            yield pattern


def _files(job: str, pattern: str) -> Findings:
    from promtail_agent.targets.globbing import find_files

    found = sorted(find_files(pattern))
    closed = [path for path in found if not os.access(path, os.R_OK)]
    if closed:
        named = ", ".join(closed[:MOST_FILES])
        step = "let the agent's user read them (a group such as adm, or an ACL)"
        yield problem("targets", f"{len(closed)} files of job {job} cannot be read: {named}", step)
    elif not found:
        step = "mend __path__, or wait: files that come are found"
        yield warning("targets", f"no file matches {pattern} of job {job}", step)
    else:
        yield fine("targets", f"job {job}: {len(found)} files match {pattern}")


def _client(client: "ClientConfig") -> Findings:
    """Whether the server would take a push of the agent; an empty one is sent."""
    from promtail_agent.client.transport import open_transport

    transport = open_transport(client)
    try:
        answer = transport.push(client.tenant_id, b"")
    finally:
        transport.close()
    shown = urlsplit(client.url)._replace(query="").geturl()
    told = f"{shown}: {answer.text}"
    match answer.status:
        case 0:
            step = "start the server, or mend url, proxy_url or tls_config of the client"
            yield problem("server", f"no answer from {told}", step)
        case 401 | 403:
            yield problem(
                "server",
                f"the agent is refused by {told}",
                "give its client a token with the scope write for its tenant (basic_auth or "
                "authorization; narfi token create --scope write --tenant T), and its tenant_id",
            )
        case 404 | 405:
            step = "end url with /loki/api/v1/push"
            yield problem("server", f"there is nothing to push to at {told}", step)
        case 413 | 429 | 500 | 502 | 503 | 504:
            step = "look at the server: narfi doctor --addr; the agent tries again by itself"
            yield warning("server", told, step)
        case _:  # taken, or refused for being empty
            yield fine("server", f"{shown} answers, and lets the agent in")


def _running(config: "AgentConfig") -> Findings:
    """What the agent says of itself, where it has pages of its own."""
    import httpx

    server = config.server
    if server.disable or not server.http_listen_port:
        return
    host = server.http_listen_address or "localhost"
    scheme = "https" if server.http_tls_config.cert_file else "http"
    base = f"{scheme}://{host}:{server.http_listen_port}{server.http_path_prefix.rstrip('/')}"
    try:
        with httpx.Client(timeout=ASK_S, verify=False, trust_env=False) as client:
            ready, metrics = client.get(f"{base}/ready"), client.get(f"{base}/metrics")
    except httpx.HTTPError as error:
        step = "start it; its log says why it ended"
        yield problem("agent", f"no agent answers at {base}: {type(error).__name__}: {error}", step)
        return
    if ready.status_code == 200:
        yield fine("agent", f"{base} is ready")
    else:
        step = "see the part targets"
        yield problem("agent", ready.text.strip(), step)
    yield from _counted(metrics.text)


def _counted(text: str) -> Findings:
    """What its metrics say of lines that were not delivered."""
    for name, labels, value in _samples(text):
        if not value:
            continue
        if name == "promtail_dropped_entries_total":
            yield problem(
                "refused lines",
                f"{value:.0f} lines were given up ({labels})",
                "the agent's log names the answer of the server: a limit to raise there, lines "
                "that are too long or too old, or the token",
            )
        elif name == "promtail_batch_retries_total":
            step = "see the part server; nothing is lost while the files are there"
            yield warning("retries", f"{value:.0f} batches were sent again ({labels})", step)
        elif name == "promtail_spool_bytes" and value > MANY_BYTES:
            step = "see the part server; beyond spool.max_size the oldest lines go"
            yield warning("backlog", f"{shown_bytes(int(value))} wait on disk ({labels})", step)


def _samples(text: str) -> Iterator[tuple[str, str, float]]:
    for line in text.splitlines():
        if line and not line.startswith("#"):
            head, _, value = line.rpartition(" ")
            name, _, labels = head.partition("{")
            yield name, labels.removesuffix("}"), float(value)
