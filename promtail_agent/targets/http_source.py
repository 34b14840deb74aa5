"""What do sources have in common that are HTTP servers: a listener, and a queue of what came?"""

import logging
import threading
from http.server import BaseHTTPRequestHandler

from narfi.core.log import Seldom
from promtail_agent.listener import Listener
from promtail_agent.server_config import PushServerConfig
from promtail_agent.targets.received import Queued


class HttpSource(Queued):
    """A server whose `handler` finds the source as its attribute `source`."""

    def __init__(
        self, server: PushServerConfig, handler: type[BaseHTTPRequestHandler], log: logging.Logger
    ) -> None:
        super().__init__()
        self._settings, self._handler = server, handler
        self._server: Listener | None = None
        self._refused = Seldom(log)
        self.prefix = server.http_path_prefix.rstrip("/")

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._server is not None
        return self._server.port

    def start(self) -> None:
        """Listen."""
        self._server = Listener(self._settings, self._handler, {"source": self})
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._queue.close()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
