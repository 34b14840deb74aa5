"""How does one push go over the wire? HTTP with snappy-protobuf, or gRPC; answers as HTTP statuses.

Source: reference/agent.md §4; the gRPC service is `logproto.Pusher/Push`.
"""

import ssl
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import snappy

from promtail_agent.client.config import ClientConfig
from promtail_agent.errors import ConfigError
from promtail_agent.http_settings import http_client, secret, tls_context

_ERROR_BODY_BYTES = 1024
TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one attempt; `status` 0 means that no answer came."""

    status: int
    text: str = ""
    retry_after_s: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether the server has taken the push."""
        return 200 <= self.status < 300


class Transport(Protocol):
    """One connection to a server; used by one thread."""

    host: str

    def push(self, tenant: str, body: bytes) -> Answer:
        """Send a serialised push request; errors of the network are answers too."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...


class HttpTransport:
    """`POST` of a snappy block."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        fixed = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        set_here = {name.lower() for name in (*fixed, "User-Agent")}
        others = {n: v for n, v in config.headers.items() if n.lower() not in set_here}
        self._http = http_client(config, {**others, **fixed}, config.timeout)
        try:
            self.host = httpx.URL(config.url).host
        except httpx.InvalidURL as error:
            raise ConfigError(f'url "{config.url}" of a client: {error}') from error

    def push(self, tenant: str, body: bytes) -> Answer:
        """One request."""
        headers = {"X-Scope-OrgID": tenant} if tenant else {}
        try:
            content = bytes(snappy.compress(body))
            response = self._http.post(self._config.url, content=content, headers=headers)
        except (httpx.HTTPError, ssl.SSLError, ConfigError) as error:
            return Answer(0, f"{type(error).__name__}: {error}")
        if response.is_success:
            return Answer(response.status_code)
        first = response.content[:_ERROR_BODY_BYTES].decode("utf-8", "replace").split("\n", 1)[0]
        status = f"{response.status_code} {response.reason_phrase}".rstrip()
        text = f"server returned HTTP status {status} ({response.status_code}): {first}"
        after = response.headers.get("Retry-After", "")
        return Answer(response.status_code, text, float(after) if after.isdecimal() else 0.0)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


_STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "UNIMPLEMENTED": 404,
    "RESOURCE_EXHAUSTED": TOO_MANY,
}
"""HTTP's status of a gRPC code; others are worth another attempt."""


class GrpcTransport:
    """`logproto.Pusher/Push` over one channel."""

    def __init__(self, config: ClientConfig) -> None:
        import grpc

        self._config = config
        address = config.url.split("://", 1)[1].split("/", 1)[0]
        self.host = address.rpartition(":")[0] or address
        options = [("grpc.max_send_message_length", -1), ("grpc.primary_user_agent", "narfi-agent")]
        if config.url.startswith("grpcs://"):
            if config.tls_config.server_name:
                options.append(("grpc.ssl_target_name_override", config.tls_config.server_name))
            self._channel = grpc.secure_channel(address, _credentials(grpc, config), options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        self._call = self._channel.unary_unary("/logproto.Pusher/Push")
        self._error = grpc.RpcError
        self._authorization = _authorization(config)

    def push(self, tenant: str, body: bytes) -> Answer:
        """One call."""
        metadata = [(name.lower(), value) for name, value in self._config.headers.items()]
        metadata += self._authorization
        if tenant:
            metadata.append(("x-scope-orgid", tenant))
        try:
            self._call(body, timeout=self._config.timeout, metadata=metadata)
        except self._error as error:
            code = error.code().name
            text = f"server returned gRPC code {code}: {error.details()}"
            return Answer(_STATUSES.get(code, 0), text)
        return Answer(200)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def _credentials(grpc: Any, config: ClientConfig) -> Any:
    from pathlib import Path

    tls = config.tls_config
    if tls.insecure_skip_verify:
        raise ConfigError("a grpcs client cannot skip the verification of its server")
    tls_context(tls)  # tells what is wrong with the files
    parts = [
        Path(f).read_bytes() if f else None for f in (tls.ca_file, tls.key_file, tls.cert_file)
    ]
    return grpc.ssl_channel_credentials(*parts)


def _authorization(config: ClientConfig) -> list[tuple[str, str]]:
    if config.basic_auth is not None:
        import base64

        pair = ":".join(config.basic_auth.pair()).encode()
        return [("authorization", f"Basic {base64.b64encode(pair).decode()}")]
    way = config.authorization
    if way is not None:
        token = way.credentials or secret(way.credentials_file)
        return [("authorization", f"{way.type} {token}")]
    token = config.bearer_token or secret(config.bearer_token_file)
    return [("authorization", f"Bearer {token}")] if token else []


def open_transport(config: ClientConfig) -> Transport:
    """The transport of a client's address; raises `ConfigError`."""
    return GrpcTransport(config) if config.is_grpc else HttpTransport(config)
