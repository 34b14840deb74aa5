"""Does a real Alertmanager hold what the ruler told it? (`make programs` unpacks Debian's)"""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.server import free_port, stop
from tests.ruler.test_process import RULES, Served, until

PROGRAM = "prometheus-alertmanager"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which(PROGRAM) is None, reason=f"no {PROGRAM} (make programs)"),
]
CONFIG = """
route: {receiver: nobody, group_by: [alertname], group_wait: 1s}
receivers: [{name: nobody}]
"""


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """The URL of one that runs."""
    config = tmp_path / "alertmanager.yml"
    config.write_text(CONFIG)
    address = f"127.0.0.1:{free_port()}"
    command = [PROGRAM, f"--config.file={config}", f"--storage.path={tmp_path}/am"]
    command += [f"--web.listen-address={address}", "--cluster.listen-address="]
    with (tmp_path / "am.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    yield f"http://{address}"
    process.terminate()
    process.wait()


def active(url: str) -> dict[str, dict[str, Any]]:
    """The alerts that it holds for firing, by name."""
    try:
        with urllib.request.urlopen(f"{url}/api/v2/alerts?active=true", timeout=10) as answer:
            found = json.loads(answer.read())
    except OSError:
        return {}
    return {alert["labels"]["alertname"]: alert for alert in found}


def test_what_it_holds(alertmanager: str, tmp_path: Path) -> None:
    served = Served(tmp_path, alertmanager)
    try:
        served.api.push({"app": "r", "host": "web"}, "one", "two")
        served.post(RULES)
        first = until(lambda: active(alertmanager).get("Seen"), "an alert")
        assert first["labels"] == {"alertname": "Seen", "host": "web", "severity": "page"}
        assert first["annotations"] == {"summary": "web: 2"}
        served.again()

        def is_told_again() -> bool:
            found = active(alertmanager)["Seen"]
            assert found["startsAt"] == first["startsAt"], "it never ended in between"
            return bool(found["endsAt"] > first["endsAt"])

        until(is_told_again, "another notice")
        served.api.send("DELETE", "/loki/api/v1/rules/ns/g", None, {})
        until(lambda: "Seen" not in active(alertmanager), "the end of the alert")
    finally:
        stop(served.running)
