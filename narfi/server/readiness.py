"""May traffic come? What the server is still doing, as `/ready` tells it."""

import threading


class Readiness:
    """The state of a starting or stopping server; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: str | None = "starting"

    def waiting(self, text: str) -> None:
        """Not ready: what is being done."""
        with self._lock:
            self._waiting = text

    def ready(self) -> None:
        """Traffic may come."""
        with self._lock:
            self._waiting = None

    def reason(self) -> str | None:
        """Why traffic may not come; None when it may."""
        with self._lock:
            return self._waiting
