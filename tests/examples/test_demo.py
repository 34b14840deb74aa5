"""Does the demo do what the README says? Programs, rotation, agent, server, answers, clean end."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_demo_answers_and_ends() -> None:
    command = [sys.executable, str(ROOT / "examples/demo/demo.py")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr
    for text in ("Grafana", "http://127.0.0.1:", "sum by", "| json"):
        assert text in result.stdout
    assert result.stdout.count("ready") == 1, "progress is one line"
    assert "Traceback" not in result.stdout + result.stderr
