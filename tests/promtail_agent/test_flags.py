"""Do the arguments of manifests that were written for Promtail start this agent?"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.server import free_port

NARFI = [sys.executable, "-m", "narfi.cli", "agent"]
CONFIG = r"""
server:
  http_listen_address: 127.0.0.1
  log_format: json
clients: [{{url: ${{LOKI_URL}}, batchwait: 50ms}}]
positions: {{filename: {folder}/positions.yaml}}
scrape_configs:
  - job_name: pods
    static_configs: [{{labels: {{job: pods, __path__: "{folder}/*.log"}}}}]
    relabel_configs:
      - {{source_labels: [job], regex: (p)ods, replacement: "$1-$${{1}}", target_label: twice}}
    pipeline_stages:
      - docker: {{strict: true}}
      - regex: {{expression: '^(?P<number>\\d+)$'}}
      - labels: {{number: }}
"""
MANIFESTS = {
    "helm": [
        "-config.file={file}",
        "-client.external-labels=cluster=x,node=$(HOSTNAME)",
        "-config.expand-env=true",
        "-server.http-listen-port={port}",
    ],
    "jsonnet": [
        "-client.external-labels=cluster=x",
        "-config.file={file}",
        "-config.expand-env",
        "-log-config-reverse-order",
        "-server.http-listen-port={port}",
    ],
    "compose": [
        "--config.file",
        "{file}",
        "--config.expand-env=TRUE",
        "--client.external-labels=cluster=x",
        "--log.level=debug",
        "--print-config-stderr=true",
        "--server.http-listen-port={port}",
    ],
    "systemd": [
        "-config.file={file}",
        "-config.expand-env=1",
        "-client.external-labels=cluster=x",
        "-inspect=false",
        "-dry-run=false",
        "-stdin=false",
        "-check-syntax=f",
        "-server.profiling_enabled=true",
        "-server.log-source-ips-enabled=true",
        "-server.http-read-timeout=1m",
        "-server.http-listen-port={port}",
        "-limit.readline-rate-enabled=true",
        "-limit.readline-rate=1000",
        "-max-line-size=256kb",
    ],
}


def run(*arguments: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    """One run to its end."""
    return subprocess.run(
        [*NARFI, *arguments], capture_output=True, text=True, timeout=60, check=False, **more
    )


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_a_manifest_for_promtail_starts(
    name: str, tmp_path: Path, server: Any, eventually: Callable[..., None]
) -> None:
    file, log = tmp_path / "promtail.yaml", tmp_path / "agent.out"
    file.write_text(CONFIG.format(folder=tmp_path))
    (tmp_path / "a.log").write_text("17\n")
    port = free_port()
    arguments = [a.format(file=file, port=port) for a in MANIFESTS[name]]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*NARFI, *arguments],
            stdout=out,
            stderr=out,
            env={**os.environ, "LOKI_URL": server.url},
        )
        try:
            eventually(lambda: server.lines() == ["17"], 30)
        finally:
            process.terminate()
            assert process.wait(60) == 0
    labels = server.entries[0][0]
    assert 'cluster="x"' in labels
    assert 'number="17"' in labels  # `\\d` of the file is `\d`
    assert 'twice="p-p"' in labels  # `$1` stays, `$${1}` is `${1}`
    told = log.read_text()
    assert told.count("docker: not a key of this stage, ignored") == 1
    if name == "systemd":
        assert told.count("flag -server.log-source-ips-enabled has no effect here") == 1
        assert "server.profiling_enabled" in told
    if name == "jsonnet":
        reversed_config = [
            json.loads(row)["msg"] for row in told.splitlines() if "scrape_configs:" in row
        ]
        assert reversed_config == ["scrape_configs:"]
    if name == "compose":
        assert "job_name: pods" in told


def test_an_unknown_flag_ends_it() -> None:
    done = run("-config.file=x", "-nope=1")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "flag provided but not defined: -nope"
    assert done.stdout == ""


def test_version_and_help() -> None:
    assert run("-version=true").stdout.startswith("narfi agent, version ")
    assert "-config.expand-env" in run("-help").stdout


def test_checks_without_a_file() -> None:
    done = run("-check-syntax=true")
    assert (done.returncode, done.stderr) == (1, "Invalid config file\n")


def test_a_pipe_without_a_file(server: Any) -> None:
    done = run(
        "-stdin=true",
        f"-client.url={server.url}",
        "-client.external-labels=k1=v1,k2=v2",
        input="one\ntwo\n",
    )
    assert done.returncode == 0, done.stderr
    assert server.lines() == ["one", "two"]
    (labels,) = {entry[0] for entry in server.entries}
    assert all(pair in labels for pair in ('job="stdin"', "hostname=", 'k1="v1"', 'k2="v2"'))


def test_words_behind_the_flags_are_told(server: Any) -> None:
    done = run("-stdin", f"-client.url={server.url}", "--", "-dry-run", input="one\n")
    assert done.returncode == 0
    assert "what follows the flags is ignored: -dry-run" in done.stderr
    assert server.lines() == ["one"]


def test_a_dry_run_as_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("""
clients: [{url: "http://127.0.0.1:1/", external_labels: {dc: "e\\"u"}}]
scrape_configs:
  - job_name: first
    static_configs: [{labels: {app: pipe}}]
    pipeline_stages:
      - regex: {expression: '^(?P<time>\\S+) (?P<level>\\S+) (?P<user>\\S+)'}
      - timestamp: {source: time, format: RFC3339Nano}
      - labels: {level: }
      - structured_metadata: {user: }
      - match: {selector: '{level="drop"}', action: drop}
      - match: {selector: '{level="warn"}', stages: [{tenant: {value: team}}]}
""")
    lines = [
        "2025-10-09T08:00:00.5Z info ann first",
        "2025-10-09T08:00:01Z warn bob zwölf\ttabs",
        "2025-10-09T08:00:02Z drop bob gone",
        "2025-10-09T08:00:03.000000001Z info cyd \x1b[31mlast",
    ]
    done = run(
        "-stdin", "-dry-run", "-output=jsonl", f"-config.file={file}", input="\n".join(lines)
    )
    assert done.returncode == 0, done.stderr

    def entry(time: str, level: str, user: str, line: str, **more: str) -> dict[str, object]:
        labels = {"app": "pipe", "dc": 'e"u', "level": level}
        return {"time": time, "labels": labels, "metadata": {"user": user}, "line": line, **more}

    assert [json.loads(row) for row in done.stdout.splitlines()] == [
        entry("2025-10-09T08:00:00.500000000Z", "info", "ann", lines[0]),
        entry("2025-10-09T08:00:01.000000000Z", "warn", "bob", lines[1], tenant="team"),
        entry("2025-10-09T08:00:03.000000001Z", "info", "cyd", lines[3]),
    ]
    wrong = run("-stdin", "-dry-run", "-output=xml", f"-config.file={file}")
    assert wrong.returncode == 2
    assert 'invalid value "xml" for flag -output' in wrong.stderr
