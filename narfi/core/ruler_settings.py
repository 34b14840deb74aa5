"""What can the ruler be told? Evaluation, Alertmanagers, and where recorded series go."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from narfi.core.relabel import RelabelRule
from narfi.core.setting_types import (
    ByteSize,
    DurationNs,
    Secret,
    SecretUrl,
    SettingsModel,
    names_of,
)


class AlertmanagerClientSettings(SettingsModel):
    """How Alertmanagers are spoken to."""

    basic_auth_username: str = ""
    """User of Basic authentication; also in the URL itself."""
    basic_auth_password: Secret = ""
    """Its password."""
    type: str = "Bearer"
    """Scheme of `credentials`."""
    credentials: Secret = ""
    """What stands behind the scheme in `Authorization`."""
    credentials_file: Path | None = None
    """A file that holds them, read at each request."""
    tls_ca_path: Path | None = None
    """Certificates that are trusted instead of the system's."""
    tls_cert_path: Path | None = None
    """The client's own certificate."""
    tls_key_path: Path | None = None
    """Its key."""
    tls_server_name: str = ""
    """The name that the server's certificate must have, if it is not the URL's."""
    tls_insecure_skip_verify: bool = False
    """Take any certificate."""


class BasicAuthSettings(SettingsModel):
    """User and password."""

    username: str = ""
    """Empty: no Basic authentication."""
    password: str = ""
    """Its password."""
    password_file: Path | None = None
    """A file that holds it, read at each request."""


class AuthorizationSettings(SettingsModel):
    """A header `Authorization`."""

    type: str = "Bearer"
    """Scheme of the credentials."""
    credentials: str = ""
    """What stands behind the scheme."""
    credentials_file: Path | None = None
    """A file that holds them, read at each request."""


class TlsSettings(SettingsModel):
    """How a server is trusted."""

    ca_file: Path | None = None
    """Certificates that are trusted instead of the system's."""
    cert_file: Path | None = None
    """The client's own certificate."""
    key_file: Path | None = None
    """Its key."""
    server_name: str = ""
    """The name that the server's certificate must have, if it is not the URL's."""
    insecure_skip_verify: bool = False
    """Take any certificate."""


class QueueSettings(SettingsModel):
    """When samples are sent, and tried again."""

    max_samples_per_send: int = Field(default=2000, ge=1)
    """Of one request."""
    batch_send_deadline: DurationNs = Field(default=5 * 10**9, ge=0)
    """How long fewer samples wait for more."""
    min_backoff: DurationNs = Field(default=30 * 10**6, ge=10**6)
    """The first pause after a request that failed; each is twice the one before."""
    max_backoff: DurationNs = Field(default=5 * 10**9, ge=10**6)
    """The longest one."""
    retry_on_http_429: bool = True
    """Whether samples wait where the receiver wants fewer; else they are given up."""
    sample_age_limit: DurationNs = Field(default=0, ge=0)
    """Older samples are given up; 0: never."""
    capacity: int = 0
    """Prometheus' key; here the queue is on disk (`max_queue_bytes`)."""
    min_shards: int = 0
    """Prometheus' key, not used: one request at a time."""
    max_shards: int = 0
    """Prometheus' key, not used."""


class RemoteWriteClientSettings(SettingsModel):
    """One receiver of recorded series, by Prometheus' keys."""

    url: str
    """Where samples are sent to."""
    name: str = ""
    """In metrics; the client's key when it is empty."""
    tenants: tuple[str, ...] = ()
    """Whose samples it gets; empty: everybody's."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Of every request."""
    remote_timeout: DurationNs = Field(default=30 * 10**9, ge=10**6)
    """Of one request."""
    write_relabel_configs: tuple[RelabelRule, ...] = ()
    """How labels of series are changed, and which are not sent."""
    basic_auth: BasicAuthSettings = BasicAuthSettings()
    authorization: AuthorizationSettings = AuthorizationSettings()
    tls_config: TlsSettings = TlsSettings()
    queue_config: QueueSettings = QueueSettings()


class RemoteWriteSettings(SettingsModel):
    """Where recorded series, ALERTS and ALERTS_FOR_STATE go."""

    enabled: bool = False
    """Whether series are written to the clients."""
    clients: dict[str, RemoteWriteClientSettings] = Field(default_factory=dict)
    """Receivers by name; each gets every sample."""
    add_org_id_header: bool = True
    """Send the tenant as `X-Scope-OrgID`."""
    max_queue_bytes: ByteSize = 64 * 2**20
    """What waits on disk for one receiver and tenant; beyond it the oldest samples go."""
    max_total_queue_bytes: ByteSize = 2**30
    """What waits on disk for one receiver; beyond it the largest queues lose their oldest first."""


class RulerSettings(SettingsModel):
    """Alerting and recording rules."""

    enable_api: bool = True
    """Whether rules can be changed and read over HTTP."""
    directory: Path | None = None
    """Rule files: `<directory>/<tenant>/<file>`; with a single tenant also without its folder."""
    evaluation_interval: DurationNs = Field(default=60 * 10**9, ge=10**6)
    """For groups without `interval`."""
    poll_interval: DurationNs = Field(default=60 * 10**9, ge=10**8)
    """How often rule files and the catalog are looked at; changes by the API hold at once."""
    evaluation_threads: int = Field(default=4, ge=1)
    """Groups that are evaluated at once; one tenant has three quarters of them at most."""
    max_memory: ByteSize = 512 * 2**20
    """What all evaluations may hold together, beside `querier.max_memory`; 0: no bound."""
    external_url: str = ""
    """Grafana's address, or that of Narfi's page (it ends with `/ui`): for links in alerts, and
    `{{ externalURL }}`."""
    datasource_uid: str = ""
    """Grafana's datasource in these links."""
    external_labels: Annotated[dict[str, str], Field(default_factory=dict)]
    """Added to alerts that have not these labels; `$externalLabels`."""
    alertmanager_url: Annotated[tuple[SecretUrl, ...], BeforeValidator(names_of)] = ()
    """Alertmanagers, comma separated: each is told every alert."""
    alertmanager_client: AlertmanagerClientSettings = AlertmanagerClientSettings()
    alert_relabel_configs: tuple[RelabelRule, ...] = ()
    """How labels of alerts are changed before they are told, and which are not told."""
    notification_queue_capacity: int = Field(default=10_000, ge=1)
    """Alerts of a tenant that wait for an Alertmanager; beyond it its oldest are dropped."""
    notification_timeout: DurationNs = Field(default=10 * 10**9, ge=10**6)
    """Of one request to an Alertmanager."""
    remote_write: RemoteWriteSettings = RemoteWriteSettings()
    resend_delay: DurationNs = Field(default=60 * 10**9, ge=0)
    """The least time between two notices of one alert."""
    lease_ttl: DurationNs = Field(default=15 * 10**9, ge=10**9)
    """Of several rulers: when one is taken for dead, and others take its groups."""
    for_outage_tolerance: DurationNs = Field(default=3600 * 10**9, ge=0)
    """A pending alert goes on over an outage that is not longer."""
