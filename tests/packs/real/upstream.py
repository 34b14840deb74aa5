"""What is behind a proxy or scraped? A server of this process with fixed answers."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DEFAULT = b"[1, 2, 3]"


@dataclass(frozen=True)
class Page:
    """An answer, and how long it takes."""

    body: bytes
    seconds: float = 0.0


@contextmanager
def upstream(port: int, pages: Mapping[str, Page] | None = None) -> Iterator[None]:
    """Answers 200 for each path, with `DEFAULT` where it has no page."""
    known = pages or {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = known.get(self.path, Page(DEFAULT))
            time.sleep(page.seconds)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
