"""Do the documented steps that fetch logs over HTTP bring them? Servers that answer as the real.

Jenkins gives the text of a build from a place on, with `X-Text-Size` for the next place and
`X-More-Data` while the build runs; GitHub sends one on to a place that holds the log for a minute.
"""

import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from promtail_agent.packs.load import SHIPPED
from promtail_agent.targets.webhook import WebhookConfig, WebhookSource

PAGES = Path(__file__).parents[2] / "docs/integrations"
JENKINS = (SHIPPED / "jenkins/samples/build.log").read_bytes()
GITHUB = (SHIPPED / "github-actions/samples/job.log").read_bytes()
PIECE = 150
"""Bytes that a build has written more at each question."""


class _Builds(BaseHTTPRequestHandler):
    """A build that goes on while it is asked, and a job whose log is elsewhere."""

    written: int
    asked: list[int]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/job/shop/job/main/42/logText/progressiveText":
            self._progressive(int(parse_qs(url.query).get("start", ["0"])[0]))
        elif url.path == "/repos/example/shop/actions/jobs/7/logs":
            self.send_response(302)
            self.send_header("Location", "/elsewhere?se=in+a+minute")
            self.end_headers()
        elif url.path == "/elsewhere":
            self._answer(GITHUB, {"Content-Type": "text/plain"})
        else:
            self.send_error(404)

    def _progressive(self, start: int) -> None:
        if not self.headers.get("Authorization", "").startswith("Basic "):
            self.send_error(403)
            return
        kind = type(self)
        kind.asked.append(start)
        kind.written = min(kind.written + PIECE, len(JENKINS))
        more = {"X-More-Data": "true"} if kind.written < len(JENKINS) else {}
        size = {"X-Text-Size": str(kind.written)}
        self._answer(JENKINS[start : kind.written], {"Content-Type": "text/plain", **size, **more})

    def _answer(self, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def builds() -> Iterator[tuple[str, list[int]]]:
    """Where it answers, and from which places it was asked."""
    with _served() as (url, handler):
        yield url, handler.asked


@contextmanager
def _served() -> Iterator[tuple[str, type[_Builds]]]:
    handler = type("Builds", (_Builds,), {"written": 0, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", handler
        finally:
            server.shutdown()
            thread.join()


def _blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)
    assert found
    return found


def _entries(folder: Path, fetch: str, file: str, **variables: str) -> list[Any]:
    """What the agent makes of what a command prints."""
    agent = f"{sys.executable} -m narfi.cli agent -stdin -dry-run -output=jsonl"
    command = f"set -e; {fetch} | {agent} -config.expand-env -config.file={file}"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        capture_output=True,
        env={**os.environ, **variables},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def _expected(sample: Path) -> list[Any]:
    lines = sample.with_suffix(".expected.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_build_of_jenkins_that_runs(builds: tuple[str, list[int]], tmp_path: Path) -> None:
    url, asked = builds
    (tmp_path / "follow.sh").write_text(_blocks("jenkins.md", "sh")[0].replace("sleep 1", ":"))
    (tmp_path / "build.yaml").write_text(_blocks("jenkins.md", "yaml")[-1])
    fetch = f'sh follow.sh "{url}/job/shop/job/main/42"'
    told = {"JENKINS_USER": "ci", "JENKINS_TOKEN": "x", "JOB": "shop/main", "BUILD": "42"}
    found = _entries(tmp_path, fetch, "build.yaml", **told)
    assert len(asked) == -(-len(JENKINS) // PIECE)
    assert asked == [place * PIECE for place in range(len(asked))]
    wanted = _expected(SHIPPED / "jenkins/samples/build.log")
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        fields = other.get("fields", {})
        metadata = one.get("metadata", {})
        assert metadata.items() >= {**fields, "job": "shop/main", "build": "42"}.items()
        assert not {"job", "build"} & one["labels"].keys()


def test_a_job_of_github(builds: tuple[str, list[int]], tmp_path: Path) -> None:
    url, _ = builds
    line = next(t for t in _blocks("github-actions.md", "") if t.startswith("curl "))
    command = line.splitlines()[0].replace("https://api.github.com", url)
    fetch, _, agent = command.partition(" | ")
    assert agent.startswith("narfi agent --stdin")
    (tmp_path / "job.yaml").write_text(_blocks("github-actions.md", "yaml")[0])
    told = {"TOKEN": "t", "REPO": "example/shop", "JOB": "7"}
    found = _entries(tmp_path, fetch, "job.yaml", **told)
    wanted = _expected(SHIPPED / "github-actions/samples/job.log")
    assert [one["time"] for one in found] == [one["time"] for one in wanted]


def test_runs_of_tekton_by_cloudevents() -> None:
    """In the binary form, as its controllers deliver: attributes are headers, the run the body."""
    sample = (SHIPPED / "tekton/samples/cloudevents.log").read_text().splitlines()
    (block,) = (b for b in _blocks("tekton.md", "yaml") if "webhook" in b)
    given = yaml.safe_load(block)["scrape_configs"][0]["webhook"]
    given["server"] = {"http_listen_address": "127.0.0.1", "http_listen_port": 0}
    source = WebhookSource(WebhookConfig.model_validate(given), [])
    source.start()
    try:
        for line in sample:
            event = json.loads(line)
            headers = {f"Ce-{name}": value for name, value in event.items() if name != "data"}
            del headers["Ce-datacontenttype"]
            headers["Content-Type"] = "application/json"
            url = f"http://127.0.0.1:{source.port}/cloudevents"
            body = json.dumps(event["data"]).encode()
            with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
                assert answer.status == 204
        found = list(source.take())
    finally:
        source.close()
    assert {one.labels.text for one in found} == {
        '{component="cloudevents", service_name="tekton"}'
    }
    wanted = [json.loads(line) for line in sample]
    for event in wanted:
        del event["datacontenttype"]
    assert [json.loads(one.line) for one in found] == wanted
