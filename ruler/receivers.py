"""Which Alertmanagers are told, and how? From the settings, checked when the server starts."""

from collections.abc import Callable
from urllib.parse import unquote, urlsplit, urlunsplit

from narfi.core.ruler_settings import AlertmanagerClientSettings, RulerSettings
from narfi.core.settings import SettingsError
from ruler.alertmanager import Receiver
from ruler.tls import tls_context


def receivers_of(settings: RulerSettings) -> list[Receiver]:
    """One for each URL; raises `SettingsError`."""
    client = settings.alertmanager_client
    tls = tls_context(
        "ruler.alertmanager_client",
        ca=client.tls_ca_path,
        cert=client.tls_cert_path,
        key=client.tls_key_path,
        insecure=client.tls_insecure_skip_verify,
    )
    found = []
    for text in settings.alertmanager_url:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(
                f"ruler.alertmanager_url: {text!r} is no URL; write for instance http://am:9093"
            )
        host = parts.netloc.rpartition("@")[2]
        found.append(
            Receiver(
                url=urlunsplit((parts.scheme, host, parts.path, "", "")).rstrip("/"),
                auth=_auth(client, parts.username, parts.password),
                authorization=_authorization(client),
                tls=tls,
                server_name=client.tls_server_name,
                timeout_s=settings.notification_timeout / 1e9,
                capacity=settings.notification_queue_capacity,
            )
        )
    return found


def _auth(
    client: AlertmanagerClientSettings, user: str | None, password: str | None
) -> tuple[str, str] | None:
    if user:
        return unquote(user), unquote(password or "")
    if client.basic_auth_username:
        return client.basic_auth_username, client.basic_auth_password
    return None


def _authorization(client: AlertmanagerClientSettings) -> Callable[[], str] | None:
    path = client.credentials_file
    if path is not None:
        return lambda: f"{client.type} {path.read_text().strip()}"
    if client.credentials:
        return lambda: f"{client.type} {client.credentials}"
    return None
