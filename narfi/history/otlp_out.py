"""Where do OTLP requests go? To an endpoint of OTLP over HTTP, or into a file, one a line.

Invariant: a file holds exactly what was noted: what was written after the last note is cut off when
the export goes on. Endpoints may get the pages after the last note twice.
"""

import os
from contextlib import suppress
from pathlib import Path

import httpx
import orjson

from narfi.history.errors import StateError
from narfi.history.page import Cursor
from promtail_agent.client.transport import Answer

TAKEN = (200, 202, 204)
_ERROR_BYTES = 300
_PART = "file"


class OtlpEndpoint:
    """`POST` of OTLP/JSON."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client, self._url = client, url
        self.host = httpx.URL(url).host

    def push(self, tenant: str, body: bytes) -> Answer:
        """One request; partly taken is answered as refused."""
        headers = {"Content-Type": "application/json"}
        if tenant:
            headers["X-Scope-OrgID"] = tenant
        try:
            answer = self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            return Answer(0, f"{type(error).__name__}: {error}")
        text = answer.content[:_ERROR_BYTES].decode("utf-8", "replace")
        if answer.status_code in TAKEN:
            refused = _refused(answer)
            return Answer(400, refused) if refused else Answer(answer.status_code)
        after = answer.headers.get("Retry-After", "")
        retry_after_s = float(after) if after.isdecimal() else 0.0
        return Answer(answer.status_code, f"{answer.status_code}: {text}", retry_after_s)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _refused(answer: httpx.Response) -> str:
    """What an answer says of records that were not taken."""
    with suppress(ValueError, AttributeError, TypeError):
        told = orjson.loads(answer.content or b"{}").get("partialSuccess") or {}
        if int(told.get("rejectedLogRecords") or 0):
            return f"{told['rejectedLogRecords']} records refused: {told.get('errorMessage', '')}"
    return ""


class OtlpFile:
    """A file of requests."""

    host = "file"

    def __init__(self, path: Path, cursors: dict[str, Cursor]) -> None:
        """Open it where it was noted last; raises `StateError`."""
        noted = cursors.get(_PART)
        self._path = path
        try:
            if noted is None and path.exists() and path.stat().st_size:
                raise StateError(f"{path} is there already, and is not of this export")
            self._file = path.open("ab")
            if self._file.tell() < int(noted.text if noted else 0):
                raise StateError(f"{path} is shorter than what was exported; give another --state")
            self._file.truncate(int(noted.text) if noted else 0)
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror}") from error

    def push(self, tenant: str, body: bytes) -> Answer:
        """Append one."""
        try:
            self._file.write(body + b"\n")
        except OSError as error:
            raise StateError(f"{self._path} cannot be written: {error.strerror}") from error
        return Answer(200)

    def cursors(self) -> dict[str, Cursor]:
        """The length, once it is on disk; raises `StateError`."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StateError(f"{self._path} cannot be written: {error.strerror}") from error
        return {_PART: Cursor(str(self._file.tell()), False)}

    def close(self) -> None:
        """Close it."""
        with suppress(OSError):  # what was noted is there
            self._file.close()
