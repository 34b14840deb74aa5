"""What does the agent tell of itself? `/ready`, `/metrics`, `/targets` (agent.md §3, §12)."""

import html
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from promtail_agent.metrics import AgentMetrics

NOT_READY = (
    "Not ready: Unable to find any logs to tail. Please verify permissions, volumes, "
    "scrape_config, etc."
)
TEXT = "text/plain; version=0.0.4; charset=utf-8"
TargetRow = tuple[str, str, str, int]
"""Job, path, labels as text, offset."""


def render_metrics(metrics: AgentMetrics) -> str:
    """Prometheus' text, by Promtail's names."""
    counters = (
        ("read_lines_total", "path", metrics.read_lines),
        ("read_bytes_total", "path", metrics.read_bytes),
        ("targets_failed_total", "reason", metrics.targets_failed),
        ("sent_entries_total", "host", metrics.sent_entries),
        ("sent_bytes_total", "host", metrics.sent_bytes),
        ("encoded_bytes_total", "host", metrics.encoded_bytes),
        ("batch_retries_total", "host", metrics.batch_retries),
        ("dropped_entries_total", "reason", metrics.dropped_entries),
        ("dropped_bytes_total", "reason", metrics.dropped_bytes),
        ("mutated_entries_total", "reason", metrics.mutated_entries),
    )
    lines: list[str] = []
    for name, label, found in counters:
        lines += _family(f"promtail_{name}", label, found.items())
    lines += _family("logentry_dropped_lines_total", "reason", metrics.dropped_lines.items())
    lines += ["# TYPE promtail_files_active_total gauge"]
    lines += [f"promtail_files_active_total {metrics.files_active}"]
    return "\n".join(lines) + "\n"


def _family(name: str, label: str, values: Iterable[tuple[str, int]]) -> list[str]:
    rows = [f'{name}{{{label}="{_escaped(key)}"}} {value}' for key, value in sorted(values)]
    return [f"# TYPE {name} counter", *rows]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def render_targets(rows: Iterable[TargetRow]) -> str:
    """A small page."""
    cells = "".join(
        f"<tr><td>{html.escape(job)}</td><td>{html.escape(path)}</td>"
        f"<td><code>{html.escape(labels)}</code></td><td>{offset}</td></tr>"
        for job, path, labels, offset in rows
    )
    style = "body{font-family:sans-serif;margin:2em}td,th{padding:.3em 1em;text-align:left}"
    return (
        f"<!doctype html><title>Narfi agent</title><style>{style}</style><h1>Targets</h1>"
        f"<table><tr><th>Job<th>File<th>Labels<th>Position</tr>{cells}</table>"
    )


class OwnServer:
    """An HTTP server in threads; `targets` is asked for each page."""

    def __init__(
        self,
        address: tuple[str, int],
        metrics: AgentMetrics,
        ready: Callable[[], bool],
        targets: Callable[[], list[TargetRow]],
    ) -> None:
        self.metrics, self.ready, self.targets = metrics, ready, targets
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(address, handler)
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_port)

    def start(self) -> None:
        """Serve in the background."""
        threading.Thread(target=self._server.serve_forever, name="own", daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: ClassVar[OwnServer]

    def do_GET(self) -> None:
        match self.path.split("?")[0]:
            case "/ready":
                good = self.owner.ready()
                self._answer(200 if good else 500, "Ready" if good else NOT_READY, "text/plain")
            case "/metrics":
                self._answer(200, render_metrics(self.owner.metrics), TEXT)
            case "/targets":
                self._answer(200, render_targets(self.owner.targets()), "text/html; charset=utf-8")
            case "/":
                self.send_response(303)
                self.send_header("Location", "/targets")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case _:
                self._answer(404, "404 page not found\n", "text/plain")

    def _answer(self, status: int, text: str, content_type: str) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""
