"""How does the agent listen for HTTP? In threads, with TLS where it is configured."""

import logging
import socket
import ssl
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from promtail_agent.server_config import ServerConfig, ServerTls

_log = logging.getLogger(__name__)

_REQUIRED = ("RequireAnyClientCert", "RequireAndVerifyClientCert")


class Listener(ThreadingHTTPServer):
    """A listening server; raises `OSError` where its address or a certificate cannot be used."""

    daemon_threads = True

    def __init__(
        self,
        config: ServerConfig,
        handler: type[BaseHTTPRequestHandler],
        attributes: Mapping[str, object],
    ) -> None:
        """`attributes` are set on the class of the handlers."""
        host = config.http_listen_address.strip("[]") or "0.0.0.0"
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        context = _tls(config.http_tls_config)
        address: Any = (host, config.http_listen_port or 0)
        super().__init__(address, type("Handler", (handler,), dict(attributes)))
        if context is not None:  # shaken hands in the connection's thread: a slow one stops nobody
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.server_port)

    def handle_error(self, _request: object, client_address: Any) -> None:
        """A connection that broke is no news."""
        _log.debug("connection broke peer=%s", client_address[0], exc_info=True)


def _tls(config: ServerTls) -> ssl.SSLContext | None:
    if not config.cert_file or not config.key_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.cert_file, config.key_file)
    if config.client_ca_file:
        context.load_verify_locations(config.client_ca_file)
        required = config.client_auth_type in _REQUIRED
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context
