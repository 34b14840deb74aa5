"""What is known of a request while it is worked on? Its id, by which route it came, and from whom.

A request carries its facts in its ASGI scope; the door (`narfi/access/`) completes them, and
whoever logs or counts reads them. Nothing that a client sends can put them there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REQUEST_KEY = "narfi.request"
"""Of an ASGI scope."""


@dataclass(slots=True, kw_only=True)
class RequestFacts:
    """Filled while the request comes in; by the event loop alone."""

    request_id: str = ""
    route: str = ""  # as it stands in the table of routes; empty: none
    tenant: str = ""  # several with `|` between them; empty: none, or not let in
    token: str = ""  # the name of who signed in


def facts_of(scope: Mapping[str, Any]) -> RequestFacts:
    """Of a request over HTTP, or of a socket; empty ones of the server's own requests."""
    found: RequestFacts = scope.get(REQUEST_KEY) or RequestFacts()
    return found
