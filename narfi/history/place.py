"""Which servers does an import speak to, and how? Addresses, credentials, TLS of each."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from narfi.history.errors import HistoryError
from narfi.history.loki.asking import Asker
from narfi.history.pace import Pace
from narfi.history.patience import Patience
from promtail_agent.client.config import ClientConfig
from promtail_agent.client.transport import Transport, open_transport
from promtail_agent.errors import ConfigError
from promtail_agent.http_settings import BasicAuth, HttpSettings, TlsConfig, http_client

PUSH = "/loki/api/v1/push"
QUERY_TIMEOUT_S = 120.0
PUSH_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server; `flag` is `from` or `to`, for messages."""

    flag: str
    url: str
    token_file: str = ""
    user: str = ""
    password: str = ""
    headers: tuple[str, ...] = ()
    ca_file: str = ""
    skip_verify: bool = False

    def address(self) -> str:
        """Without a path of the API and without an end slash; raises `HistoryError`."""
        url = self.url.rstrip("/")
        for path in (PUSH, "/loki/api/v1", "/loki"):
            url = url.removesuffix(path)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise HistoryError(f"--{self.flag} {self.url!r} is no address: it is http://HOST:PORT")
        if parts.username or parts.password:
            raise HistoryError(f"--{self.flag}: give user and password by their own flags")
        return url

    def _given_headers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in self.headers:
            name, colon, value = line.partition(":")
            if not colon or not name.strip():
                raise HistoryError(f"--{self.flag}-header {line!r} is not 'Name: value'")
            found[name.strip()] = value.strip()
        return found

    def _settings(self) -> dict[str, object]:
        variable = f"NARFI_IMPORT_{self.flag.upper()}_TOKEN"
        token = "" if self.token_file or self.user else os.environ.get(variable, "")
        return {
            "basic_auth": BasicAuth(username=self.user, password=self.password)
            if self.user
            else None,
            "bearer_token": token,
            "bearer_token_file": self.token_file,
            "tls_config": TlsConfig(ca_file=self.ca_file, insecure_skip_verify=self.skip_verify),
            "follow_redirects": False,
        }

    def client(self) -> httpx.Client:
        """For questions; raises `HistoryError`."""
        self.address()
        try:
            settings = HttpSettings.model_validate(self._settings())
            return http_client(settings, self._given_headers(), QUERY_TIMEOUT_S)
        except (ConfigError, ValidationError) as error:
            raise HistoryError(f"--{self.flag}-…: {_first(error)}") from error

    def transport(self) -> Transport:
        """For pushes; raises `HistoryError`."""
        try:
            config = ClientConfig.model_validate(
                {
                    **self._settings(),
                    "url": self.address() + PUSH,
                    "headers": self._given_headers(),
                    "timeout": PUSH_TIMEOUT_S,
                }
            )
            return open_transport(config)
        except (ConfigError, ValidationError) as error:
            raise HistoryError(f"--{self.flag}-…: {_first(error)}") from error

    def asker(
        self,
        client: httpx.Client,
        tenant: str,
        give_up_s: float,
        told: Callable[[str], None],
        *,
        queries_per_s: float = 0.0,
    ) -> Asker:
        """Questions of a tenant."""
        name = "source" if self.flag == "from" else "target"
        return Asker(
            client,
            self.address(),
            tenant,
            Patience(give_up_s, told),
            pace=Pace(queries_per_s),
            name=name,
        )


def _first(error: Exception) -> str:
    """One line of it."""
    if isinstance(error, ValidationError):
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    return str(error)
