"""`http_sd_configs`: targets that an HTTP address lists, as Prometheus asks for them."""

import logging
import threading
from collections.abc import Sequence
from typing import Annotated

import httpx
from pydantic import AfterValidator

from promtail_agent.discovery.base import Target, read_groups
from promtail_agent.durations import Interval
from promtail_agent.http_settings import HttpSettings, http_client

_log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 16 << 20


def _web_address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError(f'url "{value}" must start with http:// or https://')
    return value


class HttpSdConfig(HttpSettings):
    """Where to ask, and how often."""

    url: Annotated[str, AfterValidator(_web_address)]
    refresh_interval: Interval = 60.0


class HttpDiscovery:
    """Asks in a thread; a failed answer keeps the last targets."""

    def __init__(self, config: HttpSdConfig) -> None:
        self._config = config
        headers = {
            "Accept": "application/json",
            "X-Prometheus-Refresh-Interval-Seconds": str(config.refresh_interval),
        }
        self._http = http_client(config, headers, TIMEOUT_S)
        self._targets: Sequence[Target] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="http-sd", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def targets(self) -> Sequence[Target]:
        """Of the last good answer."""
        return self._targets

    def close(self) -> None:
        """Stop asking."""
        self._closing.set()
        self._thread.join(TIMEOUT_S)
        self._http.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._ask()
            except (httpx.HTTPError, ValueError) as error:
                _log.warning("targets cannot be asked url=%s error=%s", self._config.url, error)
            self._closing.wait(self._config.refresh_interval)

    def _ask(self) -> None:
        answer = self._http.get(self._config.url)
        answer.raise_for_status()
        if "application/json" not in answer.headers.get("Content-Type", ""):
            raise ValueError("the answer's Content-Type is not application/json")
        if len(answer.content) > MAX_ANSWER_BYTES:
            raise ValueError("the answer is too large")
        found = read_groups(answer.json(), {"__meta_url": self._config.url})
        if found != list(self._targets):
            self._targets = found
