"""How does the agent speak HTTP? Credentials, TLS and proxies as Prometheus' clients have them.

One section for push clients and for service discovery (reference/agent.md §4).
"""

import ssl
import threading
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Literal

import httpx
from pydantic import Field, model_validator

from promtail_agent.config_base import Section
from promtail_agent.errors import ConfigError

USER_AGENT = "narfi-agent/0.1"
_TOKEN_MARGIN_S = 30.0
_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


class BasicAuth(Section):
    """HTTP Basic credentials."""

    username: str = ""
    username_file: str = ""
    password: str = ""
    password_file: str = ""

    def pair(self) -> tuple[str, str]:
        """Name and password; files are read now."""
        name = self.username or secret(self.username_file)
        return name, self.password or secret(self.password_file)


class Authorization(Section):
    """The Authorization header, its scheme and its secret."""

    type: str = "Bearer"
    credentials: str = ""
    credentials_file: str = ""


TlsVersion = Literal["", "TLS10", "TLS11", "TLS12", "TLS13"]


class TlsConfig(Section):
    """How to trust the server, and how to be trusted."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False
    min_version: TlsVersion = ""
    max_version: TlsVersion = ""


class OAuth2(Section):
    """Client credentials that are turned into a token."""

    client_id: str
    client_secret: str = ""
    client_secret_file: str = ""
    token_url: str
    scopes: tuple[str, ...] = ()
    endpoint_params: dict[str, str] = Field(default_factory=dict)


class HttpSettings(Section):
    """Everything about a connection but its address."""

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    bearer_token: str = ""
    bearer_token_file: str = ""
    oauth2: OAuth2 | None = None
    tls_config: TlsConfig = TlsConfig()
    proxy_url: str = ""
    proxy_from_environment: bool = False
    """HTTP_PROXY, HTTPS_PROXY, NO_PROXY of the environment."""
    no_proxy: str = ""
    """Hosts that are spoken to without `proxy_url`, comma separated."""
    proxy_connect_header: dict[str, list[str]] = Field(default_factory=dict)
    follow_redirects: bool = True
    enable_http2: bool = True
    """Accepted; HTTP/1.1 is spoken."""

    @model_validator(mode="after")
    def _one_way(self) -> "HttpSettings":
        ways = (self.basic_auth, self.authorization, self.oauth2)
        if sum(way is not None for way in ways) + bool(self.token_source) > 1:
            raise ValueError(
                "at most one of basic_auth, authorization, oauth2, bearer_token and "
                "bearer_token_file may be given"
            )
        if self.proxy_from_environment and (self.proxy_url or self.no_proxy):
            raise ValueError("proxy_from_environment excludes proxy_url and no_proxy")
        if self.no_proxy and not self.proxy_url:
            raise ValueError("no_proxy needs a proxy_url")
        if "/" in self.no_proxy:
            raise ValueError("no_proxy takes hosts and domains, no networks")
        return self

    @property
    def token_source(self) -> str:
        """The bearer token or its file."""
        return self.bearer_token or self.bearer_token_file


def http_client(
    settings: HttpSettings,
    headers: Mapping[str, str],
    timeout_s: float,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """A client with credentials, proxy and TLS of the settings; raises `ConfigError`."""
    name = settings.tls_config.server_name

    def ask_for(request: httpx.Request) -> None:
        if name:
            request.extensions["sni_hostname"] = name

    return httpx.Client(
        event_hooks={"request": [ask_for]},
        headers={**headers, "User-Agent": USER_AGENT},
        auth=_auth(settings),
        timeout=timeout_s,
        verify=tls_context(settings.tls_config),
        follow_redirects=settings.follow_redirects,
        proxy=_proxy(settings),
        mounts=_without_proxy(settings.no_proxy),
        transport=transport,
        trust_env=settings.proxy_from_environment,
    )


def _proxy(settings: HttpSettings) -> httpx.Proxy | None:
    if not settings.proxy_url:
        return None
    found = settings.proxy_connect_header.items()
    headers = [(name, value) for name, values in found for value in values]
    try:
        return httpx.Proxy(settings.proxy_url, headers=headers)
    except (ValueError, httpx.InvalidURL) as error:
        raise ConfigError(f'proxy_url "{settings.proxy_url}": {error}') from error


def _without_proxy(hosts: str) -> dict[str, None]:
    """Patterns of what no proxy stands before: `*`, a host, a domain and what is in it."""
    found: dict[str, None] = {}
    for host in (part.strip() for part in hosts.split(",")):
        if host == "*":
            found["all://"] = None
        elif host.startswith("."):
            found[f"all://*{host}"] = None
        elif host:
            literal = host.replace(":", "").replace(".", "").isdecimal() or "[" in host
            found[f"all://{host}"] = None
            if not literal:
                found[f"all://*.{host}"] = None
    return found


def _auth(settings: HttpSettings) -> httpx.Auth | None:
    if settings.basic_auth is not None:
        given = settings.basic_auth
        return httpx.BasicAuth(*given.pair())
    if settings.authorization is not None:
        way = settings.authorization
        return _Token(way.type, way.credentials, way.credentials_file)
    if settings.token_source:
        return _Token("Bearer", settings.bearer_token, settings.bearer_token_file)
    if settings.oauth2 is not None:
        return _OAuth(settings.oauth2)
    return None


class _Token(httpx.Auth):
    """A token, or a file of one, which is read anew each time: service accounts rotate theirs."""

    def __init__(self, scheme: str, token: str, file: str) -> None:
        self._scheme, self._token, self._file = scheme, token, file
        if not token:
            secret(file)  # tells now what is wrong with it

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers["Authorization"] = f"{self._scheme} {self._token or secret(self._file)}"
        yield request


class _OAuth(httpx.Auth):
    """A token of client credentials, fetched anew before it runs out."""

    requires_response_body = True

    def __init__(self, config: OAuth2) -> None:
        self._config = config
        self._token, self._until_s = "", 0.0
        self._lock = threading.Lock()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Fetch a token where there is none that holds, then add it."""
        with self._lock:
            if time.monotonic() >= self._until_s:
                answer = yield self._token_request()
                if answer.is_success:
                    found = answer.json()
                    self._token = str(found["access_token"])
                    lifetime_s = float(found.get("expires_in", 3600))
                    self._until_s = time.monotonic() + max(0.0, lifetime_s - _TOKEN_MARGIN_S)
            request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    def _token_request(self) -> httpx.Request:
        config = self._config
        form = {
            "grant_type": "client_credentials",
            "client_id": config.client_id,
            "client_secret": config.client_secret or secret(config.client_secret_file),
            **config.endpoint_params,
        }
        if config.scopes:
            form["scope"] = " ".join(config.scopes)
        return httpx.Request("POST", config.token_url, data=form)


def secret(file: str) -> str:
    """What a secret's file holds; raises `ConfigError`."""
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"file of a client's secret cannot be read: {error}") from error


def tls_context(tls: TlsConfig) -> ssl.SSLContext:
    """Trust and identity; raises `ConfigError` where files cannot be used."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file or None)
    except OSError as error:
        raise ConfigError(f"tls_config cannot be used: {error}") from error
    if tls.min_version:
        context.minimum_version = _VERSIONS[tls.min_version]
    if tls.max_version:
        context.maximum_version = _VERSIONS[tls.max_version]
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
