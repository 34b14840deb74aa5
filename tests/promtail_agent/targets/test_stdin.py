"""`--stdin` in a real process: lines, labels, the end; no positions."""

import subprocess
import sys
from pathlib import Path
from typing import Any

NARFI = [sys.executable, "-m", "narfi.cli", "agent"]


def run(server: Any, tmp_path: Path, job: str, data: bytes, *flags: str) -> Any:
    """One run to the end of its input."""
    file = tmp_path / "agent.yaml"
    file.write_text(f"""
clients: [{{url: "{server.url}"}}]
positions: {{filename: {tmp_path}/positions.yaml}}
scrape_configs:
  - job_name: first
{job}
""")
    command = [*NARFI, f"-config.file={file}", *flags]
    return subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)


STATIC = "    static_configs: [{labels: {app: pipe, __path__: /none}}]\n"


def test_lines_to_the_end_with_stages(server: Any, tmp_path: Path) -> None:
    stages = "    pipeline_stages: [{drop: {expression: noise}}]"
    data = b"".join(b"line %d\r\n" % k for k in range(20_000)) + b"\nnoise\nlast without newline"
    done = run(server, tmp_path, STATIC + stages, data, "--stdin")
    assert done.returncode == 0, done.stderr
    expected = [f"line {k}" for k in range(20_000)] + ["last without newline"]
    assert server.lines() == expected
    assert {entry[0] for entry in server.entries} == {'{app="pipe"}'}
    assert not (tmp_path / "positions.yaml").exists()


def test_labels_where_none_are_given(server: Any, tmp_path: Path) -> None:
    job = "    syslog: {listen_address: '127.0.0.1:0'}\n"
    done = run(server, tmp_path, job, b"x\n", "-stdin")
    assert done.returncode == 0, done.stderr
    (labels,) = {entry[0] for entry in server.entries}
    assert 'job="stdin"' in labels
    assert "hostname=" in labels


def test_what_stages_hold_comes_at_the_end(server: Any, tmp_path: Path) -> None:
    stages = "    pipeline_stages: [{multiline: {firstline: '^A'}}]"
    done = run(server, tmp_path, STATIC + stages, b"A 1\n more\nA 2\n end\n", "--stdin")
    assert done.returncode == 0, done.stderr
    assert server.lines() == ["A 1\n more", "A 2\n end"]
