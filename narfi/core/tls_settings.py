"""Does the server speak TLS? Files of its certificate, and of those who may sign clients'."""

from pathlib import Path

from pydantic import model_validator

from narfi.core.setting_types import SettingsModel


class ServerTlsSettings(SettingsModel):
    """TLS of HTTP and gRPC; files are read again when they change."""

    cert_file: Path | None = None
    """The certificate and its chain, PEM; none: no TLS."""
    key_file: Path | None = None
    """Its key, PEM, without a password."""
    client_ca_file: Path | None = None
    """Authorities of clients' certificates; with it every client needs one."""
    peer_ca_file: Path | None = None
    """Authorities of other processes of a cluster; none: those of the system."""
    peer_name: str = ""
    """The name in their certificates; empty: the address at which each is reached."""

    @model_validator(mode="after")
    def _go_together(self) -> "ServerTlsSettings":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        if self.client_ca_file is not None and self.cert_file is None:
            raise ValueError("client_ca_file needs cert_file and key_file")
        return self

    @property
    def is_on(self) -> bool:
        """Whether the server speaks TLS."""
        return self.cert_file is not None
