"""What can the ruler be told? Evaluation, Alertmanagers, and where recorded series go."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

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
    """Grafana's address: for links in alerts, and `{{ externalURL }}`."""
    datasource_uid: str = ""
    """Grafana's datasource in these links."""
    external_labels: Annotated[dict[str, str], Field(default_factory=dict)]
    """Added to alerts that have not these labels; `$externalLabels`."""
    alertmanager_url: Annotated[tuple[SecretUrl, ...], BeforeValidator(names_of)] = ()
    """Alertmanagers, comma separated: each is told every alert."""
    alertmanager_client: AlertmanagerClientSettings = AlertmanagerClientSettings()
    notification_queue_capacity: int = Field(default=10_000, ge=1)
    """Alerts that wait for an Alertmanager; beyond it the oldest are dropped."""
    notification_timeout: DurationNs = Field(default=10 * 10**9, ge=10**6)
    """Of one request to an Alertmanager."""
    resend_delay: DurationNs = Field(default=60 * 10**9, ge=0)
    """The least time between two notices of one alert."""
    for_outage_tolerance: DurationNs = Field(default=3600 * 10**9, ge=0)
    """A pending alert goes on over an outage that is not longer."""
