"""Certificates of an authority of the tests' own, made by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """Files of an authority, of 127.0.0.1 and of a client."""

    authority: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_certificates(folder: Path) -> Certificates:
    """A new authority, and what it signed."""
    key, cert = folder / "ca.key", folder / "ca.crt"
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    _openssl(
        *("req", "-x509", *new, "-subj", "/CN=authority", "-keyout", str(key), "-out", str(cert)),
        *("-addext", "keyUsage=critical,keyCertSign"),
    )
    for name in ("server", "client"):
        request, extra = folder / f"{name}.csr", folder / f"{name}.ext"
        extra.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        own = (f"{folder}/{name}.key", f"{folder}/{name}.crt")
        made = ("-subj", f"/CN={name}", "-keyout", own[0], "-out", str(request))
        _openssl("req", *new, *made)
        signed = ("-CA", str(cert), "-CAkey", str(key), "-CAcreateserial", "-days", "2")
        _openssl(
            *("x509", "-req", "-in", str(request), *signed),
            *("-extfile", str(extra), "-out", own[1]),
        )
    return Certificates(
        authority=cert,
        cert=folder / "server.crt",
        key=folder / "server.key",
        client_cert=folder / "client.crt",
        client_key=folder / "client.key",
    )
