"""Which receivers get recorded series, and how? From the settings, checked at the start."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ssl import SSLContext
from urllib.parse import unquote, urlsplit, urlunsplit

from narfi.core.relabel import RelabelRule
from narfi.core.ruler_settings import RemoteWriteClientSettings, RemoteWriteSettings
from narfi.core.settings import SettingsError
from narfi.core.tenant import TenantId
from ruler.tls import tls_context


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One receiver, and how to speak to it."""

    name: str
    url: str  # without user and password
    tenants: frozenset[TenantId] = frozenset()  # empty: all
    headers: Mapping[str, str] = field(default_factory=dict)
    with_tenant: bool = True  # X-Scope-OrgID is sent
    auth: Callable[[], tuple[str, str]] | None = None  # user and password, read at each request
    authorization: Callable[[], str] | None = None  # a header's value, read at each request
    tls: SSLContext | None = None
    server_name: str = ""
    timeout_s: float = 30.0
    relabel: Sequence[RelabelRule] = ()
    max_samples: int = 2000  # of a request
    deadline_s: float = 5.0  # after which a request with fewer leaves
    min_backoff_s: float = 0.03
    max_backoff_s: float = 5.0
    retry_429: bool = True
    age_limit_s: float = 0.0  # older samples are dropped; 0: none is too old
    queue_bytes: int = 64 * 2**20  # of one tenant
    total_bytes: int = 2**30  # of all tenants


def targets_of(settings: RemoteWriteSettings) -> list[Target]:
    """One for each client; none where remote write is off. Raises `SettingsError`."""
    if not settings.enabled:
        return []
    return [_target(name, client, settings) for name, client in settings.clients.items()]


def _target(name: str, client: RemoteWriteClientSettings, settings: RemoteWriteSettings) -> Target:
    where = f"ruler.remote_write.clients.{name}"
    parts = urlsplit(client.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(
            f"{where}.url: {client.url!r} is no URL; write for instance "
            "http://prometheus:9090/api/v1/write"
        )
    host = parts.netloc.rpartition("@")[2]
    queue, tls = client.queue_config, client.tls_config
    return Target(
        name=client.name or name,
        url=urlunsplit((parts.scheme, host, parts.path, parts.query, "")),
        tenants=frozenset(TenantId(tenant) for tenant in client.tenants),
        headers={k: v for k, v in client.headers.items() if k.lower() != "x-scope-orgid"},
        with_tenant=settings.add_org_id_header,
        auth=_auth(client, parts.username, parts.password),
        authorization=_authorization(client),
        tls=tls_context(
            f"{where}.tls_config",
            ca=tls.ca_file,
            cert=tls.cert_file,
            key=tls.key_file,
            insecure=tls.insecure_skip_verify,
        ),
        server_name=tls.server_name,
        timeout_s=client.remote_timeout / 1e9,
        relabel=client.write_relabel_configs,
        max_samples=queue.max_samples_per_send,
        deadline_s=queue.batch_send_deadline / 1e9,
        min_backoff_s=queue.min_backoff / 1e9,
        max_backoff_s=queue.max_backoff / 1e9,
        retry_429=queue.retry_on_http_429,
        age_limit_s=queue.sample_age_limit / 1e9,
        queue_bytes=settings.max_queue_bytes,
        total_bytes=settings.max_total_queue_bytes,
    )


def _auth(
    client: RemoteWriteClientSettings, user: str | None, password: str | None
) -> Callable[[], tuple[str, str]] | None:
    if user:
        given = unquote(user), unquote(password or "")
        return lambda: given
    basic = client.basic_auth
    if not basic.username:
        return None
    path = basic.password_file
    if path is not None:
        return lambda: (basic.username, path.read_text().strip())
    return lambda: (basic.username, basic.password)


def _authorization(client: RemoteWriteClientSettings) -> Callable[[], str] | None:
    given = client.authorization
    path = given.credentials_file
    if path is not None:
        return lambda: f"{given.type} {path.read_text().strip()}"
    if given.credentials:
        return lambda: f"{given.type} {given.credentials}"
    return None
