"""Where do syslog messages come in? TCP with both framings, TLS, or UDP (agent.md §10)."""

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import Field, field_validator

from narfi.core.log import Seldom
from narfi.core.relabel import RelabelRule
from promtail_agent.config_base import Labels, Section
from promtail_agent.durations import Duration
from promtail_agent.metrics import AgentMetrics
from promtail_agent.targets.received import Queued, entry_of, listen_address, public_labels
from promtail_agent.targets.syslog_framing import Framed, datagram, frames
from promtail_agent.targets.syslog_messages import SyslogMessage, parse_message

_log = logging.getLogger(__name__)

UNREAD_MARK = "syslog_parse_error"
"""Structured metadata of a message that could not be read: why. Its line is the whole message."""
_SHOWN_BYTES = 120


class SyslogTls(Section):
    """Certificates of the listener; with `ca_file`, clients must have one too."""

    cert_file: str
    key_file: str
    ca_file: str = ""


class SyslogConfig(Section):
    """The `syslog` section of a job."""

    listen_address: str
    listen_protocol: Literal["tcp", "udp"] = "tcp"
    idle_timeout: Duration = 120.0
    max_message_length: int = Field(default=64 << 10, gt=0)
    """Bytes; a longer message is cut. (Promtail: 8192.)"""
    label_structured_data: bool = False
    labels: Labels = Field(default_factory=dict)
    use_incoming_timestamp: bool = False
    use_rfc5424_message: bool = False
    syslog_format: Literal["rfc5424", "rfc3164"] = "rfc5424"
    """What is expected; each message tells which it is, so both are read."""
    tls_config: SyslogTls | None = None

    @field_validator("listen_address")
    @classmethod
    def _address(cls, value: str) -> str:
        listen_address(value)
        return value


class SyslogSource(Queued):
    """A listener and its connections, a thread each."""

    def __init__(
        self, config: SyslogConfig, rules: Sequence[RelabelRule], metrics: AgentMetrics
    ) -> None:
        self._config, self._rules, self._metrics = config, tuple(rules), metrics
        super().__init__()
        self._socket: socket.socket | None = None
        self._context: ssl.SSLContext | None = None
        self._connections: set[socket.socket] = set()
        self._closing = threading.Event()
        self._unread, self._too_long = Seldom(_log), Seldom(_log)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Listen; raises `OSError` where the address or a certificate cannot be used."""
        self._context = self._tls()
        host, port = listen_address(self._config.listen_address)
        tcp = self._config.listen_protocol == "tcp"
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.settimeout(0.2)
        if tcp:
            found.listen(128)
        self._socket = found
        work = self._accept if tcp else self._datagrams
        threading.Thread(target=work, name="syslog", daemon=True).start()

    def close(self) -> None:
        """Stop listening and end the connections."""
        self._closing.set()
        self._queue.close()
        if self._socket is not None:
            self._socket.close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.close()

    def _accept(self) -> None:
        assert self._socket is not None
        while not self._closing.is_set():
            try:
                connection, address = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            arguments = (connection, address[0], self._context)
            threading.Thread(target=self._serve, args=arguments, daemon=True).start()

    def _tls(self) -> ssl.SSLContext | None:
        tls = self._config.tls_config
        if tls is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls.cert_file, tls.key_file)
        if tls.ca_file:
            context.load_verify_locations(tls.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _serve(self, raw: socket.socket, peer: str, context: ssl.SSLContext | None) -> None:
        connection = raw
        try:
            connection.settimeout(self._config.idle_timeout)
            if context is not None:
                connection = context.wrap_socket(raw, server_side=True)
            self._connections.add(connection)
            for framed in frames(self._reader(connection, peer), self._config.max_message_length):
                self._receive(framed, peer)
        except OSError as error:
            _log.info("syslog connection refused peer=%s error=%s", peer, error)
        finally:
            self._connections.discard(connection)
            connection.close()

    def _reader(self, connection: socket.socket, peer: str) -> Callable[[int], bytes]:
        def read(size: int) -> bytes:
            try:
                return connection.recv(size)
            except OSError as error:  # what came before is still a message
                if not self._closing.is_set():
                    _log.info("syslog connection ended peer=%s error=%s", peer, error)
                return b""

        return read

    def _datagrams(self) -> None:
        assert self._socket is not None
        while not self._closing.is_set():
            try:
                data, address = self._socket.recvfrom(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            self._receive(datagram(data, self._config.max_message_length), address[0])

    def _receive(self, framed: Framed, peer: str) -> None:
        config, data = self._config, framed.data
        if framed.cut_bytes:
            self._too_long.warning(
                "syslog message is longer than max_message_length, its end is cut off"
                " peer=%s limit=%d cut_bytes=%d",
                peer,
                config.max_message_length,
                framed.cut_bytes,
            )
        message = parse_message(data)
        if message.unread and data:
            self._metrics.syslog_parsing_errors += 1
            self._unread.warning(
                "syslog message cannot be read, it is kept whole peer=%s reason=%s message=%s",
                peer,
                message.unread,
                data[:_SHOWN_BYTES].decode("utf-8", "replace"),
            )
        if not message.text:
            self._metrics.syslog_empty += 1
            return
        labels = public_labels(self._labels(message, peer), self._rules)
        if labels is None:
            return
        incoming = config.use_incoming_timestamp and message.ts_ns is not None
        ts_ns = message.ts_ns if incoming and message.ts_ns is not None else time.time_ns()
        line = data if config.use_rfc5424_message else message.text
        self._metrics.syslog_entries += 1
        entry = entry_of(labels, ts_ns, line)
        if message.unread:
            entry.metadata = [(UNREAD_MARK, message.unread)]
        self._queue.put(entry)

    def _labels(self, message: SyslogMessage, peer: str) -> dict[str, str]:
        found = {
            "__syslog_connection_ip_address": peer,
            "__syslog_connection_hostname": peer,
            "__syslog_message_severity": message.severity,
            "__syslog_message_facility": message.facility,
            "__syslog_message_hostname": message.hostname,
            "__syslog_message_app_name": message.app_name,
            "__syslog_message_proc_id": message.proc_id,
            "__syslog_message_msg_id": message.msg_id,
            "__syslog_message_parse_error": message.unread,
        }
        if self._config.label_structured_data:
            for element, parameters in message.structured.items():
                for name, value in parameters.items():
                    key = element.replace("@", "_")
                    found[f"__syslog_message_sd_{key}_{name}"] = value
        return {**{n: v for n, v in found.items() if v}, **self._config.labels}
