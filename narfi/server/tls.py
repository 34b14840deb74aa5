"""Which certificate does the server show? That of its files now, for HTTP and gRPC alike.

The files are looked at every few seconds, and new connections get what they hold; those that are
open keep what they have. Files that cannot be used change nothing, and are told once.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import structlog
from prometheus_client import Gauge

from narfi.core.certificate import expires_at
from narfi.core.errors import AppError, ErrorKind
from narfi.core.tls_settings import ServerTlsSettings

log = structlog.get_logger(__name__)

LOOK_S = 5.0
"""Between two looks at the files."""
EXPIRES = Gauge(
    "narfi_certificate_expiry_timestamp_seconds",
    "When the certificate that is shown to clients is over, or the first one of its chain.",
    ["certificate"],
)


class CertificateError(AppError):
    """Certificate, key or the clients' authorities cannot be used; one line says why."""

    kind = ErrorKind.INTERNAL


HANDSHAKE_S = 10.0
"""In this time a client must be through with TLS: before, it is not counted as a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """What the files hold, for both libraries."""

    context: ssl.SSLContext
    grpc: Any
    key: bytes = field(repr=False)
    chain: bytes
    expires_s: float


class CurrentContext(ssl.SSLContext):
    """A context whose new connections get the certificate of now."""

    current: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """Begin a connection."""
        return self.current().wrap_bio(*arguments, **named)


class Certificates:
    """`refresh` is called by one thread at a time, the rest by any."""

    def __init__(self, settings: ServerTlsSettings) -> None:
        """Read the files; raises `CertificateError`."""
        self._settings = settings
        self._state = self._look()
        self._pair = self._read()

    @property
    def expires_s(self) -> float:
        """Until when the certificate of now is good, in Unix seconds."""
        return self._pair.expires_s

    def context(self) -> ssl.SSLContext:
        """For the listener of HTTP."""
        found = CurrentContext(ssl.PROTOCOL_TLS_SERVER)
        found.current = lambda: self._pair.context
        return found

    def grpc_credentials(self) -> Any:
        """For the listener of gRPC, which asks at each handshake."""
        told = self._pair

        def fetch() -> Any:
            nonlocal told
            if told is self._pair:
                return None
            told = self._pair
            return told.grpc

        return grpc.dynamic_ssl_server_credentials(
            told.grpc,
            fetch,
            require_client_authentication=self._settings.client_ca_file is not None,
        )

    def peer_credentials(self) -> Any:
        """For calls to other processes of a cluster, which may ask for a certificate too.

        As the files are now: renewed authorities are known after the next start.
        """
        ca, pair = self._settings.peer_ca_file, self._pair
        trusted = None if ca is None else _bytes(ca)
        if self._settings.client_ca_file is None:
            return grpc.ssl_channel_credentials(trusted)
        return grpc.ssl_channel_credentials(trusted, pair.key, pair.chain)

    def prepared(self, settings: ServerTlsSettings) -> Callable[[], None]:
        """Read the files of other settings; what is returned puts them in force.

        Raises `CertificateError` where they cannot be used.
        """
        other = Certificates(settings)

        def use() -> None:
            self._settings, self._state, self._pair = other._settings, other._state, other._pair

        return use

    def refresh(self) -> bool:
        """Read the files again where they changed; whether there is a new certificate."""
        state = self._look()
        if state == self._state:
            return False
        self._state = state
        try:
            self._pair = self._read()
        except CertificateError as error:
            log.error("new certificates cannot be used, those of before go on", error=str(error))
            return False
        log.info("new certificates are used")
        return True

    def _files(self) -> list[Path]:
        given = (self._settings.cert_file, self._settings.key_file, self._settings.client_ca_file)
        return [path for path in given if path is not None]

    def _look(self) -> list[object]:
        return [_state(path) for path in self._files()]

    def _read(self) -> _Pair:
        cert, key, ca = (
            self._settings.cert_file,
            self._settings.key_file,
            self._settings.client_ca_file,
        )
        if cert is None or key is None:
            raise CertificateError("server.tls needs cert_file and key_file")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        chain, secret, authorities = _bytes(cert), _bytes(key), None if ca is None else _bytes(ca)
        try:
            context.load_cert_chain(cert, key, password=_no_password)
            expires_s = expires_at(chain)
            if ca is not None:
                context.load_verify_locations(ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ValueError) as error:
            raise CertificateError(
                f"server.tls: {', '.join(map(str, self._files()))}: {error}"
            ) from error
        told = grpc.ssl_server_certificate_configuration([(secret, chain)], authorities)
        return _Pair(context=context, grpc=told, key=secret, chain=chain, expires_s=expires_s)


def _no_password() -> str:
    """A key with a password would wait for somebody at a terminal."""
    raise ValueError("the key has a password")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"server.tls: {path}: {error.strerror}") from error


def _state(path: Path) -> object:
    """Changes when the file does, also when it is a link that leads elsewhere (Kubernetes)."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ino, found.st_size)
