"""How does a configuration name a server to push to? (reference/agent.md §4)"""

import hashlib
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from promtail_agent.config_base import Labels, Section
from promtail_agent.durations import ByteSize, Duration
from promtail_agent.http_settings import HttpSettings

GRPC_SCHEMES = ("grpc://", "grpcs://")


class BackoffConfig(Section):
    """How long to wait between attempts: doubled each time, with jitter."""

    min_period: Duration = 0.5
    max_period: Duration = 300.0
    max_retries: int = Field(default=0, ge=0)
    """0: never give up, the files wait. (Promtail: 10, then the batch is lost.)"""


class ClientConfig(HttpSettings):
    """One server to push to."""

    url: str = ""
    """The whole address, such as http://localhost:3100/loki/api/v1/push, or grpc://host:9095."""
    name: str = ""
    tenant_id: str = ""
    """Sent as X-Scope-OrgID where it is not empty; the label __tenant_id__ goes before it."""
    batchwait: Duration = 1.0
    batchsize: ByteSize = Field(default=1 << 20, gt=0)
    """Bytes of lines and metadata in one batch."""
    timeout: Duration = 10.0
    backoff_config: BackoffConfig = BackoffConfig()
    external_labels: Labels = Field(default_factory=dict)
    """Added to every entry; labels of the entry win."""
    headers: Labels = Field(default_factory=dict)
    drop_rate_limited_batches: bool = False
    stream_lag_labels: object = None
    """Accepted; lags of streams are not measured."""

    @field_validator("url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if not value:
            raise ValueError("a client needs a url")
        if not value.startswith(("http://", "https://", *GRPC_SCHEMES)):
            raise ValueError(
                f'url "{value}" must start with http://, https://, grpc:// or grpcs://'
            )
        return value

    @model_validator(mode="after")
    def _authorised(self) -> "ClientConfig":
        if self.is_grpc and (self.oauth2 is not None or self.proxy_url):
            raise ValueError("a grpc client takes neither oauth2 nor proxy_url")
        return self

    @property
    def is_grpc(self) -> bool:
        """Whether it is spoken to by gRPC."""
        return self.url.startswith(GRPC_SCHEMES)

    @property
    def host(self) -> str:
        """The server's name, as metrics tell it."""
        return urlsplit(self.url).hostname or self.url

    @property
    def key(self) -> str:
        """Its name, else what stays while its address and tenant do."""
        same = f"{self.url}\n{self.tenant_id}\n{sorted(self.external_labels.items())}"
        return self.name or hashlib.sha256(same.encode()).hexdigest()[:6]


class SpoolConfig(Section):
    """Batches on disk while a server cannot be reached; off without a directory."""

    directory: str = ""
    max_size: ByteSize = Field(default=1 << 30, gt=0)
    """Bytes of each client's files; the oldest batches are dropped, and counted, beyond it."""
