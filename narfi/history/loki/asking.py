"""How is a source asked? One GET at a time, waited for where it is busy, believed where whole.

An answer counts only when all of it came, as JSON that says `success`, without a warning that
something is missing: a cut or partial answer would be entries that nobody misses.
"""

import re
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import orjson

from narfi.history.errors import SourceError
from narfi.history.pace import Pace
from narfi.history.patience import Patience

API = "/loki/api/v1"
_WARNING_HEADER = "X-Narfi-Warning"
_MOST_TOLD = 300  # characters of an answer's text that are shown
_ENTRIES = re.compile(r"max_entries_limit_per_query \((\d+) > (\d+)\)")
_LENGTH = "query time range exceeds the limit"
_SERIES = "maximum number of series"
_LARGE = ("too many bytes", "query too large", "timed out", "deadline", "memory")

Parameters = Sequence[tuple[str, str]]


class TooLargeError(SourceError):
    """The source would answer a smaller question; `entries`: the largest limit that it allows."""

    def __init__(self, message: str, entries: int = 0) -> None:
        super().__init__(message)
        self.entries = entries


class TooManySeriesError(SourceError):
    """The source would answer for fewer streams."""


class Asker:
    """One tenant of a source, or of a target that is asked; used by one thread at a time."""

    def __init__(
        self,
        client: httpx.Client,
        url: str,
        tenant: str,
        patience: Patience,
        *,
        pace: Pace,
        name: str = "source",
    ) -> None:
        self._client, self.url, self.tenant = client, url.rstrip("/"), tenant
        self._patience, self._pace, self._name = patience, pace, name

    def of_tenant(self, tenant: str) -> "Asker":
        """The same server, asked for another tenant."""
        return Asker(
            self._client, self.url, tenant, self._patience, pace=self._pace, name=self._name
        )

    def get(self, path: str, parameters: Parameters = ()) -> Any:
        """`data` of a whole answer. Raises `SourceError`, `TooLargeError`, `TooManySeriesError`."""
        while True:
            problem, retry_after_s = "", 0.0
            try:
                answer = self.once(path, parameters)
            except (httpx.HTTPError, ssl.SSLError) as error:
                problem = f"cannot reach {self.url}: {type(error).__name__}: {error}".rstrip(": ")
            else:
                if answer.status_code == httpx.codes.OK:
                    data, problem = _read(answer, self._name)
                    if not problem:
                        self._patience.went_well()
                        return data
                else:
                    problem = self._refused(answer)
                    after = answer.headers.get("Retry-After", "")
                    retry_after_s = float(after) if after.isdecimal() else 0.0
            if not self._patience.wait(f"{self._name}: {problem}", retry_after_s):
                raise SourceError(f"the {self._name} does not answer: {problem}")

    def once(self, path: str, parameters: Parameters = ()) -> httpx.Response:
        """One attempt, whatever comes; raises what httpx raises."""
        self._pace.take(1.0)
        headers = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
        if self.tenant:
            headers["X-Scope-OrgID"] = self.tenant
        # a list, so that a parameter may be there several times
        query = httpx.QueryParams(list(parameters))
        return self._client.get(self.url + path, params=query, headers=headers)

    def _refused(self, answer: httpx.Response) -> str:
        """What is worth another attempt, as text; raises for the rest."""
        status, text = answer.status_code, answer.text.strip()[:_MOST_TOLD]
        told = f"{status}: {text}" if text else str(status)
        whose = f"tenant {self.tenant!r}" if self.tenant else "no tenant given"
        if status in (401, 403):
            raise SourceError(
                f"the {self._name} does not let us read ({whose}): {told}; look at its token, "
                "and at the tenant"
            )
        if 300 <= status < 400 or status in (404, 405):
            raise SourceError(
                f"{self.url} does not speak Loki's API ({told}): give the address before /loki"
            )
        entries = _ENTRIES.search(text)
        if entries is not None:
            raise TooLargeError(told, int(entries[2]))
        if _SERIES in text:
            raise TooManySeriesError(f"the {self._name} answered {told}")
        if status == 504 or _LENGTH in text or (status < 500 and any(w in text for w in _LARGE)):
            raise TooLargeError(f"the {self._name} answered {told}")
        if status < 500 and status != 429:
            raise SourceError(f"the {self._name} answered {told}")
        return told


def _read(answer: httpx.Response, name: str) -> tuple[Any, str]:
    """The data of an answer, and what is wrong with it if asking again may help."""
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        if "json" not in kind:
            raise SourceError(
                f"the {name} does not speak Loki's API: it answered with {kind or 'no type'}"
            ) from None
        return None, "the answer is cut off"
    if not isinstance(body, dict) or body.get("status", "success") != "success":
        return None, f"the answer says {str(body)[:_MOST_TOLD]}"
    told = body.get("warnings") or answer.headers.get_list(_WARNING_HEADER)
    if told:
        return None, f"the answer lacks something: {'; '.join(map(str, told))[:_MOST_TOLD]}"
    return body.get("data", body), ""


MakeAsker = Callable[[str], Asker]
"""For a tenant."""
