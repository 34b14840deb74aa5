"""Do real programs reach the syslog source? `logger` (util-linux), rsyslogd, openssl's TLS."""

import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.server import free_port
from promtail_agent.agent import Agent
from promtail_agent.config_file import load_agent_config

RULES = """
    relabel_configs:
      - {source_labels: [__syslog_message_hostname], target_label: host}
      - {source_labels: [__syslog_message_severity], target_label: severity}
      - {source_labels: [__syslog_message_facility], target_label: facility}
      - {source_labels: [__syslog_message_app_name], target_label: app}
      - {source_labels: [__syslog_message_sd_demo_1_color], target_label: color}
"""
Begin = Callable[..., tuple[Agent, int]]


@pytest.fixture
def listen(server: Any, tmp_path: Path) -> Iterator[Begin]:
    """Starts agents that listen; gives the port too."""
    running: list[Agent] = []

    def begin(**settings: object) -> tuple[Agent, int]:
        port = free_port()
        section = {"listen_address": f"127.0.0.1:{port}", "labels": {"job": "s"}, **settings}
        file = tmp_path / "agent.yaml"
        file.write_text(f"""
clients: [{{url: "{server.url}", batchwait: 20ms}}]
positions: {{filename: {tmp_path}/positions.yaml}}
scrape_configs:
  - job_name: s
    syslog: {json.dumps(section)}{RULES}
""")
        agent = Agent(load_agent_config(file))
        agent.start()
        running.append(agent)
        return agent, port

    yield begin
    for agent in running:
        agent.stop()


def run_logger(port: int, *arguments: str) -> None:
    """One run of logger."""
    command = ["logger", "--server", "127.0.0.1", "--port", str(port), "--tag", "shop"]
    subprocess.run([*command, *arguments], check=True, capture_output=True)


needs_logger = pytest.mark.skipif(shutil.which("logger") is None, reason="no logger")


@needs_logger
@pytest.mark.parametrize("framing", [(), ("--octet-count",)])
def test_logger_over_tcp_rfc5424(
    listen: Begin, server: Any, eventually: Callable[..., None], framing: tuple[str, ...]
) -> None:
    _, port = listen(label_structured_data=True)
    data = ("--sd-id", "demo@1", "--sd-param", 'color="red"')
    way = ("--tcp", "--rfc5424=notime,notq", *framing)
    run_logger(port, *way, "--priority", "user.err", *data, "from logger")
    eventually(lambda: server.lines() == ["from logger"])
    labels = server.entries[0][0]
    assert 'app="shop"' in labels
    assert 'color="red"' in labels
    assert 'facility="user"' in labels
    assert 'severity="error"' in labels


@needs_logger
def test_logger_over_udp_rfc3164(
    listen: Begin, server: Any, eventually: Callable[..., None]
) -> None:
    _, port = listen(listen_protocol="udp", syslog_format="rfc3164", use_incoming_timestamp=True)
    run_logger(port, "--udp", "--rfc3164", "--priority", "local3.notice", "by udp")
    eventually(lambda: server.lines() == ["by udp"])
    labels, ts_ns, _ = server.entries[0]
    assert 'app="shop"' in labels
    assert 'facility="local3"' in labels
    assert abs(ts_ns / 1e9 - time.time()) < 86_400


@needs_logger
def test_logger_sends_a_file(listen: Begin, server: Any, tmp_path: Path, eventually: Any) -> None:
    _, port = listen()
    file = tmp_path / "lines"
    file.write_text("".join(f"line {k}\n" for k in range(200)))
    run_logger(port, "--tcp", "--rfc5424", "--octet-count", "--file", str(file))
    eventually(lambda: len(server.entries) == 200)
    assert server.lines() == [f"line {k}" for k in range(200)]


RSYSLOG = """
global(workDirectory="{folder}")
module(load="imudp")
input(type="imudp" address="127.0.0.1" port="{source}")
action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="{framing}"
       template="RSYSLOG_SyslogProtocol23Format")
"""


@pytest.mark.skipif(shutil.which("rsyslogd") is None, reason="no rsyslogd (make programs)")
@pytest.mark.parametrize("framing", ["octet-counted", "traditional"])
def test_rsyslog_forwards(
    listen: Begin, server: Any, tmp_path: Path, eventually: Callable[..., None], framing: str
) -> None:
    _, port = listen()
    source = free_port()
    file = tmp_path / "rsyslog.conf"
    file.write_text(RSYSLOG.format(folder=tmp_path, source=source, port=port, framing=framing))
    command = ["rsyslogd", "-n", "-f", str(file), "-i", str(tmp_path / "pid")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

            def sent() -> bool:
                stamp = time.strftime("%b %e %H:%M:%S")
                text = f"<131>{stamp} web1 shop[7]: through rsyslog".encode()
                sender.sendto(text, ("127.0.0.1", source))
                time.sleep(0.1)
                return " through rsyslog" in server.lines()  # its %msg% begins with the blank

            eventually(sent, 60)
    finally:
        process.terminate()
        process.wait(10)
    labels = server.entries[0][0]
    assert 'app="shop"' in labels
    assert 'host="web1"' in labels
    assert 'facility="local0"' in labels
    assert 'severity="error"' in labels


def test_tls_with_client_certificates(
    listen: Begin, server: Any, certificates: Any, eventually: Callable[..., None]
) -> None:
    files = {
        "cert_file": str(certificates.cert),
        "key_file": str(certificates.key),
        "ca_file": str(certificates.authority),
    }
    agent, port = listen(tls_config=files)
    stranger = ssl.create_default_context(cafile=str(certificates.authority))
    known = ssl.create_default_context(cafile=str(certificates.authority))
    known.load_cert_chain(certificates.client_cert, certificates.client_key)

    def send(context: ssl.SSLContext, text: bytes) -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(b"<13>1 - web shop - - - " + text + b"\n")
            return connection.recv(1) if text == b"stranger" else b""

    with pytest.raises((ssl.SSLError, ConnectionError)):
        send(stranger, b"stranger")
    send(known, b"by tls")
    eventually(lambda: server.lines() == ["by tls"])
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"<13>1 - web shop - - - not encrypted\n")
    run = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-quiet", "-no_ign_eof"]
    run += ["-cert", str(certificates.client_cert), "-key", str(certificates.client_key)]
    data = b"<13>1 - web shop - - - by openssl\n"
    subprocess.run(run, input=data, check=False, capture_output=True, timeout=60)
    eventually(lambda: "by openssl" in server.lines())
    assert server.lines() == ["by tls", "by openssl"]
    assert agent.metrics.syslog_entries == 2


def test_a_certificate_that_cannot_be_read_is_told_at_the_start(
    listen: Begin, tmp_path: Path
) -> None:
    from promtail_agent.errors import ListenError

    files = {"cert_file": str(tmp_path / "none"), "key_file": str(tmp_path / "none")}
    with pytest.raises(ListenError, match="cannot listen"):
        listen(tls_config=files)


def test_an_address_in_use_is_told(listen: Begin) -> None:
    from promtail_agent.errors import ListenError

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ListenError, match="in use"):
            listen(listen_address=f"127.0.0.1:{taken.getsockname()[1]}")
