"""How do commands ask a server? With logcli's addresses, tenants, headers and retries."""

import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from narfi.cli.output import print_warnings
from narfi.core.errors import AppError, ErrorKind

WARNING_HEADER = "X-Narfi-Warning"
"""One for each thing that an answer lacks; also in bodies that have a place for it."""


class ServerError(AppError):
    """The server could not be asked, or refused."""

    kind = ErrorKind.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a request is repeated; seconds."""

    count: int = 0
    min_backoff_s: int = 0
    max_backoff_s: int = 0


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates."""

    ca_cert: str = ""
    skip_verify: bool = False
    cert: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the server is and who asks."""

    address: str
    tenant: str = ""
    extra_headers: tuple[tuple[str, str], ...] = ()
    query_tags: str = ""
    no_cache: bool = False
    compress: bool = False
    retries: Retries = field(default_factory=Retries)
    tls: Tls = field(default_factory=Tls)
    proxy: str = ""
    proxy_of_environment: bool = False
    quiet: bool = False
    warned: dict[str, None] = field(default_factory=dict, compare=False)
    """What answers lack, as they said so far; each is told once, on stderr."""

    def url(self, path: str) -> str:
        """An address below the server's, whose own path is kept as a prefix."""
        return self.address.rstrip("/") + path

    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        found = {"User-Agent": "narfi-cli", **dict(self.extra_headers)}
        if self.tenant:
            found["X-Scope-OrgID"] = self.tenant
        if self.query_tags:
            found["X-Query-Tags"] = self.query_tags
        if self.no_cache:
            found["Cache-Control"] = "no-cache"
        found["Accept-Encoding"] = "gzip" if self.compress else "identity"
        return found

    def get(self, path: str, params: Sequence[tuple[str, str]] = ()) -> Any:
        """The JSON answer of a GET; raises `ServerError` with the server's own text."""
        answer = self.request("GET", path, params)
        body = answer.json()
        told = body.get("warnings") if isinstance(body, dict) else None
        texts = [one["text"] if isinstance(one, dict) else one for one in told or ()]
        self.warn(texts or answer.headers.get_list(WARNING_HEADER))
        return body

    def warn(self, texts: Sequence[str]) -> None:
        """Tell what an answer lacks, unless an earlier one said the same."""
        fresh = [text for text in texts if text not in self.warned]
        self.warned.update(dict.fromkeys(fresh))
        print_warnings(fresh)

    def request(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        content_type: str = "",
    ) -> Any:
        """The response of a request, repeated as the flags say."""
        import httpx

        query = httpx.QueryParams(list(params))
        headers = {"Content-Type": content_type} if content_type else {}
        if not self.quiet:
            print(f"{self.url(path)}?{query}", file=sys.stderr)
        problem = ""
        for left in range(self.retries.count, -1, -1):
            try:
                with self._client() as client:
                    found = client.request(
                        method, self.url(path), params=query, content=body, headers=headers
                    )
            except httpx.HTTPError as error:
                problem = f"cannot reach {self.address}: {error}"
            else:
                if found.is_success:
                    return found
                text = found.text.rstrip("\n")
                problem = f"error response from server ({found.status_code}): {text}"
            if left:
                print(f"{problem} attempts remaining: {left}", file=sys.stderr)
                time.sleep(self._pause(self.retries.count - left))
        raise ServerError(problem)

    @contextmanager
    def download(self, path: str, params: Sequence[tuple[str, str]]) -> Iterator[Any]:
        """The response of a GET, to be read as it comes; raises `ServerError`, also when it breaks
        off within the `with` block."""
        import httpx

        try:
            with (
                self._client() as client,
                client.stream("GET", self.url(path), params=list(params)) as found,
            ):
                if not found.is_success:
                    text = found.read().decode("utf-8", "replace").rstrip("\n")
                    raise ServerError(f"error response from server ({found.status_code}): {text}")
                yield found
        except httpx.HTTPError as error:
            raise ServerError(f"the answer of {self.address} broke off: {error}") from error

    def answer(self, path: str, timeout_s: float) -> Any:
        """The response of one GET, whatever its status; raises `ServerError` without one."""
        import httpx

        try:
            with self._client() as client:
                return client.get(self.url(path), timeout=timeout_s)
        except httpx.HTTPError as error:
            raise ServerError(f"{type(error).__name__}: {error}") from error

    def _client(self) -> Any:
        import httpx

        verify: Any = not self.tls.skip_verify
        if (self.tls.ca_cert or self.tls.cert) and not self.tls.skip_verify:
            verify = self.tls_context()
        direct = None  # so that proxies of the environment are not asked
        if not self.proxy and not self.proxy_of_environment:
            direct = httpx.HTTPTransport(verify=verify)
        return httpx.Client(
            headers=self.headers(),
            verify=verify,
            timeout=None,
            proxy=self.proxy or None,
            transport=direct,
        )

    def tls_context(self) -> Any:
        """The TLS settings of the flags."""
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.tls.ca_cert or None)
            if self.tls.cert:
                context.load_cert_chain(self.tls.cert, self.tls.key or None)
        except OSError as error:
            raise ServerError(f"unable to use the certificates: {error}") from error
        if self.tls.skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _pause(self, attempt: int) -> float:
        low, high = self.retries.min_backoff_s, self.retries.max_backoff_s
        if not high:
            return float(low)
        return random.uniform(low, min(high, max(low, 1) * 2**attempt))
