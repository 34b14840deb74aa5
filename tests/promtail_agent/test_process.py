"""`narfi agent` as a process: reload, its own pages, dry run, inspection, checks of a file."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.server import free_port
from tests.written import whole_lines

NARFI = [sys.executable, "-m", "narfi.cli"]
Eventually = Callable[..., None]


class Process:
    """A running agent and the file that configures it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.port = folder, url, free_port()
        self.file, self.log = folder / "agent.yaml", folder / "agent.log"
        (folder / "logs").mkdir()
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, job: str = "first", stages: str = "[]", more: str = "") -> None:
        """Write the configuration."""
        own = f"http_listen_address: 127.0.0.1, http_listen_port: {self.port}"
        self.file.write_text(f"""
server: {{{own}, enable_runtime_reload: true}}
clients: [{{url: "{self.url}", batchwait: 50ms, bearer_token: hush, headers: {{X-Key: hush}}}}]
positions: {{filename: {self.folder}/positions.yaml, sync_period: 100ms}}
target_config: {{sync_period: 100ms}}
scrape_configs:
  - job_name: {job}
    static_configs:
      - labels: {{job: {job}, __path__: {self.folder}/logs/*.log}}
      - labels: {{job: without a path}}
    pipeline_stages: {stages}
{more}
""")

    def start(self, *flags: str) -> None:
        """Run it."""
        with self.log.open("ab") as log:
            command = [*NARFI, "agent", f"-config.file={self.file}", *flags]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        """Tell it."""
        assert self.process is not None
        self.process.send_signal(number)

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        """A page of its own."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float:
        """The sum of a metric's samples; -1 where there is none."""
        rows = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        return sum(float(row) for row in rows) if rows else -1.0

    def write(self, name: str, *lines: str) -> None:
        """Append lines to a log."""
        with (self.folder / "logs" / name).open("a") as out:
            out.writelines(f"{line}\n" for line in lines)

    def end(self) -> int:
        """SIGTERM, and its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture
def agent(tmp_path: Path, server: Any) -> Iterator[Process]:
    """An agent that is configured and not started."""
    found = Process(tmp_path, server.url)
    found.configure()
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.kill()
        found.process.wait()


def test_reload_on_sighup(agent: Process, server: Any, eventually: Eventually) -> None:
    agent.write("a.log", "one")
    agent.start()
    eventually(lambda: server.lines() == ["one"], 20)
    agent.signal(signal.SIGHUP)  # nothing has changed
    eventually(lambda: agent.metric("promtail_config_reload_fail_total") == 1)
    agent.configure("second")
    agent.signal(signal.SIGHUP)
    eventually(lambda: agent.metric("promtail_config_reload_success_total") == 1)
    agent.write("a.log", "two")
    eventually(lambda: server.lines() == ["one", "two"])
    assert ['job="second"' in entry[0] for entry in server.entries] == [False, True]
    agent.file.write_text("servr: {}")
    agent.signal(signal.SIGHUP)
    eventually(lambda: agent.metric("promtail_config_reload_fail_total") == 2)
    agent.write("a.log", "three")
    eventually(lambda: "three" in server.lines())
    assert agent.end() == 0
    assert server.lines() == ["one", "two", "three"]
    log = agent.log.read_text()
    assert "config has not changed" in log
    assert "agent.yaml:1: servr: unknown key" in log


def test_reload_over_http_and_back_from_what_cannot_start(
    agent: Process, server: Any, eventually: Eventually
) -> None:
    agent.write("a.log", "one")
    agent.start()
    eventually(lambda: server.lines() == ["one"], 20)
    assert agent.get("/reload", "POST") == (
        500,
        "failed to reload config: config has not changed\n",
    )
    taken = f"  - job_name: s\n    syslog: {{listen_address: '127.0.0.1:{agent.port}'}}"
    agent.configure(more=taken.replace(str(agent.port), "1"))
    agent.file.write_text(agent.file.read_text().replace("127.0.0.1:1'", "192.0.2.1:1'"))
    assert agent.get("/reload", "POST")[0] == 200  # it is a right configuration
    eventually(lambda: agent.metric("promtail_config_reload_fail_total") == 2)
    assert "cannot listen" in agent.log.read_text()
    agent.write("a.log", "two")
    eventually(lambda: server.lines() == ["one", "two"])
    agent.configure("third")
    assert agent.get("/reload", "PUT") == (200, "")
    eventually(lambda: agent.metric("promtail_config_reload_success_total") == 1)
    assert agent.end() == 0


def test_own_pages(agent: Process, server: Any, eventually: Eventually) -> None:
    agent.start()
    eventually(lambda: agent.get("/ready")[0] == 500, 20)
    assert agent.get("/ready")[1].startswith("Not ready: Unable to find any logs to tail.")
    agent.write("a<b>.log", "one")
    eventually(lambda: agent.get("/ready") == (200, "Ready"))
    eventually(lambda: server.lines() == ["one"])
    page = agent.get("/targets")[1]
    assert "a&lt;b&gt;.log" in page
    assert "<td>4</td>" in page
    assert agent.get("/")[1] == page
    found = agent.get("/service-discovery")[1]
    assert "/logs/*.log" in found
    assert "<td>no_path</td>" in found
    shown = agent.get("/config")[1]
    assert "job_name: first" in shown
    assert "hush" not in shown
    assert agent.get("/nothing")[0] == 404
    assert agent.get("/nothing", "POST")[0] == 404
    assert agent.end() == 0


NAMES = """
promtail_build_info promtail_read_lines_total promtail_read_bytes_total promtail_file_bytes_total
promtail_files_active_total promtail_targets_active_total promtail_targets_failed_total
promtail_encoded_bytes_total promtail_sent_bytes_total promtail_sent_entries_total
promtail_dropped_bytes_total promtail_dropped_entries_total promtail_mutated_entries_total
promtail_mutated_bytes_total promtail_request_duration_seconds promtail_batch_retries_total
promtail_config_reload_success_total promtail_config_reload_fail_total
promtail_journal_target_lines_total promtail_journal_target_parsing_errors_total
promtail_syslog_target_entries_total promtail_syslog_target_parsing_errors_total
promtail_syslog_empty_messages_total promtail_docker_target_entries_total
promtail_docker_target_parsing_errors_total promtail_gelf_target_entries_total
promtail_gelf_target_parsing_errors_total logentry_dropped_lines_total
logentry_dropped_lines_by_label_total
"""


def test_metrics_have_promtails_names(agent: Process, server: Any, eventually: Eventually) -> None:
    stages = """
      - drop: {expression: noise}
      - regex: {expression: '(?P<took>[0-9]+)ms'}
      - metrics:
          lines: {type: Counter, config: {match_all: true, action: inc}}
          took: {type: Histogram, config: {buckets: [1, 10]}}
"""
    agent.configure(stages=stages)
    agent.write("a.log", "one 5ms", "two 50ms", "noise")
    agent.start()
    eventually(lambda: len(server.entries) == 2, 20)
    eventually(lambda: agent.metric("promtail_sent_entries_total") == 2)
    text = agent.get("/metrics")[1]
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert set(NAMES.split()) <= set(kinds)
    path = f"{agent.folder}/logs/a.log"
    assert f'promtail_read_lines_total{{path="{path}"}} 3.0' in text
    assert f'promtail_read_bytes_total{{path="{path}"}} 23.0' in text
    assert f'promtail_file_bytes_total{{path="{path}"}} 23.0' in text
    assert 'logentry_dropped_lines_total{reason="drop_stage"} 1.0' in text
    assert 'promtail_request_duration_seconds_count{host="127.0.0.1",status_code="204"}' in text
    labels = f'filename="{path}",job="first"'
    assert f"promtail_custom_lines{{{labels}}} 2.0" in text
    assert f'promtail_custom_took_bucket{{{labels},le="10"}} 1.0' in text
    assert f"promtail_custom_took_sum{{{labels}}} 55.0" in text
    assert kinds["promtail_custom_took"] == "histogram"
    # the text is what a Prometheus takes
    from prometheus_client.parser import text_string_to_metric_families

    assert len(list(text_string_to_metric_families(text))) > 25
    assert agent.end() == 0


def test_a_prefix_and_a_switched_off_server(
    agent: Process, server: Any, eventually: Eventually
) -> None:
    text = agent.file.read_text()
    agent.file.write_text(text.replace("server: {", "server: {http_path_prefix: /agent/, "))
    agent.write("a.log", "one")
    agent.start()
    eventually(lambda: agent.get("/agent/ready") == (200, "Ready"), 20)
    assert agent.get("/ready")[0] == 404
    assert agent.get("/agent/")[1] == agent.get("/agent/targets")[1]
    assert agent.end() == 0
    agent.file.write_text(text.replace("server: {", "server: {disable: true, "))
    agent.start()
    agent.write("a.log", "two")
    eventually(lambda: server.lines() == ["one", "two"], 20)
    assert agent.get("/ready") == (0, "")
    assert agent.end() == 0


def test_dry_run_prints_and_saves_nothing(
    agent: Process, server: Any, eventually: Eventually
) -> None:
    agent.configure(stages="[{cri: {}}, {structured_metadata: {flags: }}]")
    agent.write("a.log", "2025-10-09T08:00:00.5Z stdout F hello")
    agent.start("--dry-run")
    eventually(lambda: "hello" in "".join(whole_lines(agent.log)), 20)
    assert agent.end() == 0
    (row,) = [line for line in whole_lines(agent.log) if "\t" in line]
    labels = f'{{filename="{agent.folder}/logs/a.log", job="first", stream="stdout"}}'
    assert row.split("\t") == ["2025-10-09T08:00:00.500000000Z", labels, "flags=F", "hello"]
    assert server.headers == []
    assert not (agent.folder / "positions.yaml").exists()


def test_inspection_shows_what_stages_do(agent: Process) -> None:
    """As somebody who writes a pipeline does it: lines in, differences out."""
    agent.configure(
        stages="[{logfmt: {mapping: {level: }}}, {labels: {level: }}, "
        "{decolorize: {}}, {drop: {expression: noise}}]"
    )
    done = subprocess.run(
        [*NARFI, "agent", f"-config.file={agent.file}", "--stdin", "--dry-run", "--inspect"],
        input=b"level=warn hello\nnoise\n",
        capture_output=True,
        timeout=60,
        check=True,
    )
    shown = [line for line in done.stderr.decode().splitlines() if not line.startswith("ts=")]
    first = shown[: shown.index("[inspect: drop stage]: ")]
    assert first == [
        "[inspect: logfmt stage]: ",
        "+ extracted.level: 'warn'",
        "[inspect: labels stage]: ",
        "+ labels.level: 'warn'",
        "[inspect: decolorize stage]: ",
        "none",
    ]
    assert shown[-2:] == ["[inspect: drop stage]: ", "- entry was dropped or is kept back"]
    assert done.stdout.decode().endswith("level=warn hello\n")


def test_inspection_is_coloured_on_a_terminal() -> None:
    import io

    from promtail_agent.inspect import Inspector

    out = io.StringIO()
    Inspector(out, colour=True).show("x", {"line": "a"}, [{"line": "b"}])
    assert "\x1b[31m- line: 'a'\x1b[0m\n\x1b[32m+ line: 'b'\x1b[0m" in out.getvalue()


def narfi(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """One command."""
    env = {**os.environ, **environment}
    return subprocess.run(
        [*NARFI, *arguments], capture_output=True, text=True, timeout=60, check=False, env=env
    )


def test_checks_of_a_file(agent: Process) -> None:
    good = narfi("check-config", "--agent", str(agent.file))
    assert (good.returncode, good.stdout) == (0, f"{agent.file}: ok\n")
    syntax = narfi("agent", f"-config.file={agent.file}", "-check-syntax")
    assert (syntax.returncode, syntax.stdout) == (
        0,
        "Valid config file! No syntax issues found\n",
    )
    agent.file.write_text(agent.file.read_text().replace("batchwait", "batch_wait"))
    for command, told in (
        (("check-config", "--agent", str(agent.file)), "narfi"),
        (("agent", f"-config.file={agent.file}", "-check-syntax"), "Unable to parse config"),
        (("agent", f"-config.file={agent.file}"), "narfi"),
    ):
        bad = narfi(*command)
        assert bad.returncode != 0
        assert f"{told}: {agent.file}:3: clients[0].batch_wait: unknown key" in bad.stderr
        assert "Traceback" not in bad.stderr


def test_checks_with_the_environment(agent: Process) -> None:
    agent.file.write_text(agent.file.read_text().replace(agent.url, "${PUSH_URL}"))
    assert narfi("check-config", "--agent", str(agent.file)).returncode != 0
    expand = ("check-config", "--agent", "--expand-env", str(agent.file))
    assert narfi(*expand, PUSH_URL="http://x/").returncode == 0


def test_flags_go_before_the_file(agent: Process, server: Any, eventually: Eventually) -> None:
    other = free_port()
    agent.write("a.log", "one")
    positions = agent.folder / "other.yaml"
    agent.start(
        f"-positions.file={positions}",
        f"-server.http-listen-port={other}",
        "-log.level=debug",
        "-client.external-labels=dc=eu,zone=1",
        f"-client.url={server.url}",
        "-client.tenant-id=more",
    )
    eventually(lambda: len(server.entries) == 2, 20)
    agent.port = other
    eventually(lambda: agent.get("/ready") == (200, "Ready"))
    assert agent.end() == 0
    assert positions.exists()
    assert not (agent.folder / "positions.yaml").exists()
    assert server.tenants == {"": 1, "more": 1}
    assert all('dc="eu"' in entry[0] and 'zone="1"' in entry[0] for entry in server.entries)


def test_the_log_has_a_level_and_a_form(agent: Process, eventually: Eventually) -> None:
    text = agent.file.read_text()
    agent.file.write_text(text.replace("server: {", "server: {log_format: json, "))
    agent.start()
    eventually(lambda: "agent started" in "".join(whole_lines(agent.log)), 20)
    assert agent.end() == 0
    for line in whole_lines(agent.log):
        assert {"ts", "level", "logger", "msg"} <= json.loads(line).keys()
    agent.log.unlink()
    agent.file.write_text(text.replace("server: {", "server: {log_level: error, "))
    agent.start()
    eventually(lambda: agent.get("/metrics")[0] == 200, 20)
    time.sleep(0.2)
    assert agent.end() == 0
    assert agent.log.read_text() == ""
