"""What does the agent tell of itself? `/ready`, `/metrics`, `/targets` and others (agent.md §3)."""

import threading
from http.server import BaseHTTPRequestHandler
from typing import ClassVar, Protocol

import yaml

from promtail_agent.config import AgentConfig
from promtail_agent.errors import ListenError
from promtail_agent.exposition import CONTENT_TYPE, render_metrics
from promtail_agent.listener import Listener
from promtail_agent.metrics import AgentMetrics
from promtail_agent.own_pages import JobRow, TargetRow, discovery_page, targets_page

NOT_READY = (
    "Not ready: Unable to find any logs to tail. Please verify permissions, volumes, "
    "scrape_config, etc."
)
_HTML, _TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"
_SECRETS = frozenset(("password", "bearer_token", "credentials", "client_secret", "headers"))


class Shown(Protocol):
    """What the pages ask of an agent."""

    metrics: AgentMetrics

    @property
    def is_ready(self) -> bool:
        """Whether something is read."""
        ...

    def target_rows(self) -> list[TargetRow]:
        """Files that are read."""
        ...

    def job_rows(self) -> list[JobRow]:
        """What was discovered."""
        ...

    def reload(self) -> str:
        """Read the configuration again; what is wrong with it, or ""."""
        ...


class OwnServer:
    """An HTTP server in threads; raises `ListenError` when its address is taken."""

    def __init__(self, config: AgentConfig, agent: Shown) -> None:
        self.config, self.agent = config, agent
        server = config.server
        self.prefix = server.http_path_prefix.rstrip("/")
        try:
            self._server = Listener(server, _Handler, {"owner": self})
        except OSError as error:
            address = f"{server.http_listen_address or '0.0.0.0'}:{server.http_listen_port}"
            raise ListenError(f"cannot listen on {address}: {error.strerror or error}") from error

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.port

    def start(self) -> None:
        """Serve in the background."""
        threading.Thread(target=self._server.serve_forever, name="own", daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def config_text(config: AgentConfig) -> str:
    """The effective configuration as YAML, secrets hidden."""
    plain = config.model_dump(mode="json", by_alias=True, fallback=str, exclude_none=True)
    return yaml.safe_dump(_hidden(plain), sort_keys=False)


def _hidden(value: object) -> object:
    if isinstance(value, dict):
        return {k: "<secret>" if k in _SECRETS and v else _hidden(v) for k, v in value.items()}
    return [_hidden(item) for item in value] if isinstance(value, list) else value


class _Handler(BaseHTTPRequestHandler):
    owner: ClassVar[OwnServer]

    def do_GET(self) -> None:
        owner = self.owner
        match self._path():
            case "/ready":
                good = owner.agent.is_ready
                self._answer(200 if good else 500, "Ready" if good else NOT_READY, _TEXT)
            case "/metrics" if owner.config.server.register_instrumentation:
                self._answer(200, render_metrics(owner.agent.metrics), CONTENT_TYPE)
            case "/targets":
                self._answer(200, targets_page(owner.agent.target_rows()), _HTML)
            case "/service-discovery":
                self._answer(200, discovery_page(owner.agent.job_rows()), _HTML)
            case "/config":
                self._answer(200, config_text(owner.config), _TEXT)
            case "/reload" if owner.config.server.enable_runtime_reload:
                self._reload()
            case "/" | "":
                self.send_response(303)
                self.send_header("Location", f"{owner.prefix}/targets")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case _:
                self._answer(404, "404 page not found\n", _TEXT)

    def do_POST(self) -> None:
        if self._path() == "/reload" and self.owner.config.server.enable_runtime_reload:
            self._reload()
        else:
            self._answer(404, "404 page not found\n", _TEXT)

    do_PUT = do_POST  # noqa: N815  the name that http.server looks for

    def _path(self) -> str | None:
        path, prefix = self.path.split("?")[0], self.owner.prefix
        return path[len(prefix) :] if path.startswith(prefix) else None

    def _reload(self) -> None:
        wrong = self.owner.agent.reload()
        if wrong:
            self._answer(500, f"failed to reload config: {wrong}\n", _TEXT)
        else:
            self._answer(200, "", _TEXT)

    def _answer(self, status: int, text: str, content_type: str) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""
