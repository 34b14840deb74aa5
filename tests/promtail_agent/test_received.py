"""Do entries that are sent to the agent arrive, with the labels that relabelling gives?"""

import calendar
import gzip
import http.client
import json
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.server import free_port
from narfi.core.wire.push_encode import encode_push
from promtail_agent.agent import Agent
from promtail_agent.config_file import load_agent_config

JSON = "application/json"
RULES = """
    relabel_configs:
      - {source_labels: [__syslog_message_hostname], target_label: host}
      - {source_labels: [__syslog_message_severity], target_label: severity}
      - {source_labels: [__syslog_message_app_name], target_label: app}
      - {source_labels: [__syslog_message_sd_x_1_k], target_label: k}
"""


@pytest.fixture
def agent_of(tmp_path: Path, server: Any) -> Iterator[Callable[[str], Agent]]:
    """Starts an agent with one job of the given YAML."""
    running: list[Agent] = []

    def begin(job: str, own_port: int | None = None) -> Agent:
        port = own_port if own_port is not None else "null"
        text = f"""
server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}}}
clients: [{{url: "{server.url}", batchwait: 20ms}}]
positions: {{filename: {tmp_path}/positions.yaml}}
scrape_configs:
  - job_name: received
{job}
"""
        file = tmp_path / "agent.yaml"
        file.write_text(text)
        agent = Agent(load_agent_config(file))
        agent.start()
        running.append(agent)
        return agent

    yield begin
    for agent in running:
        agent.stop()


def syslog_job(port: int, **more: object) -> str:
    """A syslog job."""
    settings = {"listen_address": f"127.0.0.1:{port}", "labels": {"job": "s"}, **more}
    return f"    syslog: {json.dumps(settings)}{RULES}"


def is_bound(port: int) -> bool:
    """Whether somebody receives datagrams there; what comes before is lost."""
    sockets = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") for line in sockets)


MESSAGE = b'<165>1 2025-10-09T08:00:00.5Z web shop 12 ID [x@1 k="v \\"q\\""] it works'


@pytest.mark.parametrize("framing", ["newline", "counted"])
def test_syslog_over_tcp(
    server: Any, agent_of: Any, eventually: Callable[..., None], framing: str
) -> None:
    port = free_port()
    agent_of(syslog_job(port, label_structured_data=True, use_incoming_timestamp=True))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(3):
            counted = b"%d %s" % (len(MESSAGE), MESSAGE)
            connection.sendall(counted if framing == "counted" else MESSAGE + b"\n")
    eventually(lambda: len(server.entries) == 3)
    labels, ts_ns, line = server.entries[0]
    assert line == "it works"
    assert ts_ns == 1_759_996_800_500_000_000
    assert labels == ('{app="shop", host="web", job="s", k="v \\"q\\"", severity="notice"}')


def test_syslog_over_udp_from_pythons_handler(
    server: Any, agent_of: Any, eventually: Callable[..., None]
) -> None:
    port = free_port()
    agent_of(syslog_job(port, listen_protocol="udp", syslog_format="rfc3164"))
    eventually(lambda: is_bound(port))
    now = time.strftime("%b %e %H:%M:%S")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        text = f"<11>{now} host app[7]: over udp"
        sender.sendto(text.encode(), ("127.0.0.1", port))
    eventually(lambda: server.lines() == ["over udp"])
    assert server.entries[0][0] == '{app="app", host="host", job="s", severity="error"}'


def test_what_is_no_message_is_kept_whole_with_a_mark(
    server: Any, agent_of: Any, eventually: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    agent = agent_of(syslog_job(port))
    with (
        caplog.at_level(logging.WARNING),
        socket.create_connection(("127.0.0.1", port)) as connection,
    ):
        connection.sendall(b"hello\n<999>not a priority\n" + MESSAGE + b"\n<13>1 - cut off\n")
        connection.sendall(b"again: no priority\n")
        eventually(lambda: len(server.entries) == 5)
    marks = {entry[2]: mark for entry, mark in zip(server.entries, server.metadata, strict=True)}
    assert marks == {
        "hello": [("syslog_parse_error", "no priority")],
        "<999>not a priority": [("syslog_parse_error", "not a priority")],
        "it works": [],
        "<13>1 - cut off": [("syslog_parse_error", "incomplete RFC 5424 header")],
        "again: no priority": [("syslog_parse_error", "no priority")],
    }
    assert agent.metrics.syslog_parsing_errors == 4
    told = [r.getMessage() for r in caplog.records if "cannot be read" in r.getMessage()]
    assert told == [
        "syslog message cannot be read, it is kept whole peer=127.0.0.1 reason=no priority"
        " message=hello untold_before=0"
    ]


def test_the_reason_can_become_a_label(
    server: Any, agent_of: Any, eventually: Callable[..., None]
) -> None:
    port = free_port()
    rule = "      - {source_labels: [__syslog_message_parse_error], target_label: unread}"
    agent_of(syslog_job(port) + rule)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"hello\n" + MESSAGE + b"\n")
    eventually(lambda: len(server.entries) == 2)
    assert server.entries[0][0] == '{job="s", unread="no priority"}'
    assert "unread" not in server.entries[1][0]


def test_messages_up_to_64_kib_come_whole_and_longer_ones_are_cut_and_told(
    server: Any, agent_of: Any, eventually: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    agent_of(syslog_job(port))
    head = b"<13>1 - web shop - - - "
    sizes = (65536 - len(head), 65536 - len(head) + 7)
    with (
        caplog.at_level(logging.WARNING),
        socket.create_connection(("127.0.0.1", port)) as connection,
    ):
        for size in sizes:
            connection.sendall(head + b"x" * size + b"\n")
            connection.sendall(b"%d %s%s" % (len(head) + size, head, b"y" * size))
        eventually(lambda: len(server.entries) == 4)
    assert [len(line) for line in server.lines()] == [sizes[0]] * 4
    told = [r.getMessage() for r in caplog.records if "is cut off" in r.getMessage()]
    assert len(told) == 1
    assert "limit=65536 cut_bytes=7" in told[0]


def test_dockers_and_rsyslogs_messages(
    server: Any, agent_of: Any, eventually: Callable[..., None]
) -> None:
    """Whatever format is configured: each message tells which it is."""
    port = free_port()
    agent_of(syslog_job(port, listen_protocol="udp", use_incoming_timestamp=True))
    eventually(lambda: is_bound(port))
    now = time.gmtime()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for text in (
            f"<30>{time.strftime('%b %e %H:%M:%S', now)} core[2210]: from docker",
            "<30>2026-01-02T03:04:05.678901+01:00 web core[2210]: from rsyslog",
            "<30>1 2026-01-02T03:04:05Z web core 2210 - - two\nlines\n",
        ):
            sender.sendto(text.encode(), ("127.0.0.1", port))
            time.sleep(0.05)
    eventually(lambda: len(server.entries) == 3)
    by_line = {line: (labels, ts_ns) for labels, ts_ns, line in server.entries}
    labels = '{app="core", host="web", job="s", severity="informational"}'
    assert by_line["from docker"] == (
        '{app="core", job="s", severity="informational"}',
        calendar.timegm(now) * 10**9,
    )
    assert by_line["from rsyslog"] == (labels, 1_767_319_445_678_901_000)
    assert by_line["two\nlines"] == (labels, 1_767_323_045_000_000_000)


def test_pushes_to_the_agent(server: Any, agent_of: Any, eventually: Callable[..., None]) -> None:
    port = free_port()
    listen = {"http_listen_address": "127.0.0.1", "http_listen_port": port}
    settings = {"server": listen, "labels": {"via": "agent"}}
    agent_of(f"    loki_push_api: {json.dumps({**settings, 'use_incoming_timestamp': True})}")

    def post(path: str, body: bytes, content_type: str) -> int:
        url = f"http://127.0.0.1:{port}{path}"
        request = urllib.request.Request(url, body, {"Content-Type": content_type})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    streams = [{"stream": {"app": "a"}, "values": [["5", "by json", {"k": "v"}]]}]
    body = json.dumps({"streams": streams}).encode()
    assert post("/loki/api/v1/push", body, "application/json") == 204
    packed = encode_push([('{app="a"}', [(6, b"by protobuf", [("k", "w")])])])
    assert post("/loki/api/v1/push", packed, "application/x-protobuf") == 204
    assert post("/promtail/api/v1/raw", b"raw 1\nraw 2\n", "text/plain") == 204
    for bad in ("{", "[]", '{"streams": [{}]}', '{"streams": [{"stream": {}, "values": [["1"]]}]}'):
        assert post("/loki/api/v1/push", bad.encode(), "application/json") == 400
    odd = b'{"streams": [{"stream": {"a": "\\ud800"}, "values": [["1", 5]]}]}'
    assert post("/loki/api/v1/push", odd, "application/json") == 400
    assert post("/loki/api/v1/push", b"\xff", "application/x-protobuf") == 400
    assert post("/loki/api/v1/push", b'{"streams": [{"stream": {}, "values": null}]}', JSON) == 204
    eventually(lambda: len(server.entries) == 4)
    assert sorted(server.metadata)[2:] == [[("k", "v")], [("k", "w")]]
    by_line = {line: (labels, ts) for labels, ts, line in server.entries}
    assert by_line["by json"] == ('{app="a", via="agent"}', 5)
    assert by_line["by protobuf"] == ('{app="a", via="agent"}', 6)
    assert by_line["raw 1"][0] == '{via="agent"}'


def test_pushes_in_chunks_and_compressed(
    server: Any, agent_of: Any, eventually: Callable[..., None]
) -> None:
    port = free_port()
    listen = f"{{http_listen_address: 127.0.0.1, http_listen_port: {port}}}"
    agent_of(f"    loki_push_api: {{server: {listen}, labels: {{a: b}}, max_send_msg_size: 5000}}")

    def post(body: bytes | Iterator[bytes], encoding: str = "", path: str = "raw") -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        api = "/promtail/api/v1/raw" if path == "raw" else "/loki/api/v1/push"
        headers = {"Content-Type": JSON} | ({"Content-Encoding": encoding} if encoding else {})
        connection.request("POST", api, body, headers, encode_chunked=not isinstance(body, bytes))
        status = connection.getresponse().status
        connection.close()
        return status

    pushed = json.dumps({"streams": [{"stream": {"c": "d"}, "values": [["5", "packed"]]}]})
    deflate = zlib.compressobj(wbits=-15)
    raw = deflate.compress(pushed.replace("packed", "raw").encode()) + deflate.flush()
    assert post(iter([b"one\ntw", b"o\n"])) == 204
    assert post(gzip.compress(pushed.encode()), "gzip", "json") == 204
    assert post(raw, "deflate", "json") == 204
    assert post(pushed.encode(), "br", "json") == 400
    assert post(b"no gzip", "gzip", "json") == 400
    assert post(gzip.compress(pushed.encode())[:-9], "gzip", "json") == 400
    assert post(gzip.compress(b" " * 6000), "gzip", "json") == 413
    assert post(iter([b"x" * 3000, b"x" * 3000])) == 413
    eventually(lambda: len(server.entries) == 4)
    assert {line for _, _, line in server.entries} == {"one", "two", "packed", "raw"}


def test_what_was_accepted_is_sent_when_the_agent_stops(server: Any, agent_of: Any) -> None:
    port = free_port()
    listen = f"{{http_listen_address: 127.0.0.1, http_listen_port: {port}}}"
    agent = agent_of(f"    loki_push_api: {{server: {listen}, labels: {{a: b}}}}")
    body = b"\n".join(b"line %d" % k for k in range(3000))
    url = f"http://127.0.0.1:{port}/promtail/api/v1/raw"
    urllib.request.urlopen(urllib.request.Request(url, body), timeout=60).close()
    stopping = threading.Thread(target=agent.stop)
    stopping.start()
    stopping.join(60)
    assert len(server.entries) == 3000


def test_own_pages(server: Any, agent_of: Any, eventually: Callable[..., None]) -> None:
    port, own = free_port(), free_port()
    agent_of(syslog_job(port), own)

    def page(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{own}{path}", timeout=60) as answer:
            return str(answer.read().decode())

    assert page("/ready") == "Ready"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(MESSAGE + b"\n")
    eventually(lambda: server.lines() == ["it works"])
    eventually(lambda: 'promtail_sent_entries_total{host="' in page("/metrics"))
    assert "<h1>Targets</h1>" in page("/targets")
    assert page("/") == page("/targets")
