"""How is a Kubernetes API reached? By an address, a kubeconfig, or the pod's service account."""

import base64
import binascii
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from promtail_agent.errors import ConfigError
from promtail_agent.http_settings import BasicAuth, HttpSettings, TlsConfig

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Access:
    """Where, and as whom; `namespace` is the agent's own ("" where that is not known)."""

    server: str
    settings: HttpSettings
    namespace: str = ""


def find_access(api_server: str, kubeconfig_file: str, settings: HttpSettings) -> Access:
    """Raises `ConfigError` where there is no way to an API."""
    if api_server:
        return Access(api_server.rstrip("/"), settings, _own_namespace())
    if kubeconfig_file:
        return _of_kubeconfig(Path(kubeconfig_file))
    host, port = (
        os.environ.get("KUBERNETES_SERVICE_HOST"),
        os.environ.get("KUBERNETES_SERVICE_PORT"),
    )
    if not host or not port:
        raise ConfigError(
            "kubernetes_sd_configs without api_server and kubeconfig_file needs to run in a pod: "
            "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined"
        )
    inside = HttpSettings(
        bearer_token_file=str(SERVICE_ACCOUNT / "token"),
        tls_config=TlsConfig(ca_file=str(SERVICE_ACCOUNT / "ca.crt")),
    )
    name = f"[{host}]" if ":" in host else host
    return Access(f"https://{name}:{port}", inside, _own_namespace())


def _own_namespace() -> str:
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _of_kubeconfig(file: Path) -> Access:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        user = _named(document["users"], context["user"])["user"]
        tls = TlsConfig(
            ca_file=_file_of(cluster, "certificate-authority", file),
            cert_file=_file_of(user, "client-certificate", file),
            key_file=_file_of(user, "client-key", file),
            insecure_skip_verify=bool(cluster.get("insecure-skip-tls-verify")),
        )
        basic = None
        if "username" in user:
            basic = BasicAuth(username=user["username"], password=user.get("password", ""))
        settings = HttpSettings(
            bearer_token=user.get("token", ""),
            bearer_token_file=user.get("tokenFile", ""),
            basic_auth=basic,
            tls_config=tls,
        )
        server = str(cluster["server"]).rstrip("/")
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"kubeconfig {file} cannot be used: {error!r}") from error
    return Access(server, settings, str(context.get("namespace", "")))


def _named(entries: Any, name: str) -> Any:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise KeyError(name)


def _file_of(section: Any, key: str, beside: Path) -> str:
    """A file named in a kubeconfig, or one made of the data that it holds."""
    if f"{key}-data" in section:
        try:
            data = base64.b64decode(section[f"{key}-data"], validate=True)
        except binascii.Error as error:
            raise ValueError(f"{key}-data is not base64") from error
        with tempfile.NamedTemporaryFile(prefix="narfi-agent-", delete=False) as made:
            made.write(data)  # mode 0600; ssl reads keys from files only
        return made.name
    name = section.get(key, "")
    return str(beside.parent / name) if name else ""
