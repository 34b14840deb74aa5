"""How does a request get to a receiver, and what of the answer is read? Its start, in time.

A receiver may be broken: of the body no more is kept than an error needs, and one that never ends
holds nobody.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

MOST_READ = 64 * 1024
"""Bytes of a body that are read, so that the connection can be used again."""
SHOWN = 500
"""Characters of it that are kept."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What a receiver answered."""

    status: int
    text: str  # the start of the body
    retry_after: str | None = None

    @property
    def is_success(self) -> bool:
        """Any 2xx."""
        return 200 <= self.status < 300

    def error(self) -> str:
        """One line."""
        return f"HTTP status {self.status}: {self.text}"


def post(
    http: httpx.Client, url: str, timeout_s: float, headers: Mapping[str, str], **request: Any
) -> Posted:
    """`request` is httpx's; raises what it raises until a status is there."""
    until_s = time.monotonic() + timeout_s
    headers = {"Accept-Encoding": "identity", **headers}
    with http.stream("POST", url, headers=headers, **request) as answer:
        start = bytearray()
        try:
            for piece in answer.iter_raw(8192):
                start += piece
                if len(start) >= MOST_READ or time.monotonic() > until_s:
                    break
        except httpx.HTTPError:
            pass  # what it says is known
        text = start.decode("utf-8", "replace")[:SHOWN]
        return Posted(answer.status_code, text, answer.headers.get("retry-after"))
