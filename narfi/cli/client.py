"""How do commands ask a server? httpx, with logcli's addresses, tenants and credentials."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from narfi.core.errors import AppError, ErrorKind

DEFAULT_ADDRESS = "http://localhost:3100"


class ServerError(AppError):
    """The server could not be asked, or refused."""

    kind = ErrorKind.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the server is and who asks."""

    address: str
    tenant: str = ""
    username: str = ""
    password: str = ""
    bearer_token: str = ""
    quiet: bool = False

    def get(self, path: str, params: Sequence[tuple[str, str]]) -> Any:
        """The JSON answer of a GET; raises `ServerError` with the server's own text."""
        url = self.address.rstrip("/") + path
        headers = {"User-Agent": "narfi-cli"}
        if self.tenant:
            headers["X-Scope-OrgID"] = self.tenant
        if self.bearer_token:
            headers["Authorization"] = f"Bearer {self.bearer_token}"
        auth = (self.username, self.password) if self.username and self.password else None
        query = httpx.QueryParams(list(params))
        if not self.quiet:
            print(f"{url}?{query}", file=sys.stderr)
        try:
            found = httpx.get(url, params=query, headers=headers, auth=auth, timeout=None)
        except httpx.HTTPError as error:
            raise ServerError(f"cannot reach {self.address}: {error}") from error
        if found.status_code != httpx.codes.OK:
            text = found.text.rstrip("\n")
            raise ServerError(f"error response from server ({found.status_code}): {text}")
        return found.json()


def from_environment(name: str, default: str = "") -> str:
    """A LOKI_… variable."""
    return os.environ.get(f"LOKI_{name}", default)
