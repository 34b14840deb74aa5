"""Do clients of all kinds get in with a token, over TLS, with nothing but their usual settings?"""

import base64
import json
import logging
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from websockets.sync.client import connect

from benchmarks.server import free_port
from narfi.access.secret import new_token
from tests.clients.built.shippers import running
from tests.servers.certificates import Certificates, make_certificates

QUERY = "/loki/api/v1/query_range"
TOKENS: list[dict[str, Any]] = [
    {"name": "promtail", "tenants": ["shop"], "scopes": ["write"]},
    {"name": "grafana", "tenants": ["shop"], "scopes": ["read"]},
    {"name": "rules", "tenants": ["shop"], "scopes": ["rules"]},
    {"name": "prometheus", "tenants": ["*"], "scopes": ["metrics"]},
]


@dataclass(frozen=True)
class Site:
    """A server that speaks TLS and asks for tokens."""

    url: str
    grpc: str
    files: Certificates
    tokens: dict[str, str]
    folder: Path

    def token_file(self, name: str) -> Path:
        """As a client mounts it."""
        path = self.folder / f"{name}.token"
        path.write_text(self.tokens[name] + "\n")
        return path

    def client(self, **options: Any) -> httpx.Client:
        """Trusts the server, knows nothing else."""
        context = ssl.create_default_context(cafile=str(self.files.authority))
        return httpx.Client(base_url=self.url, verify=context, timeout=60, **options)

    def lines(self, query: str) -> list[str]:
        """The lines of a query; waits for the first."""
        until = time.monotonic() + 60
        with self.client(auth=("grafana", self.tokens["grafana"])) as client:
            while True:
                answer = client.get(QUERY, params={"query": query})
                assert answer.status_code == 200, answer.text
                result = answer.json()["data"]["result"]
                if result or time.monotonic() > until:
                    return sorted(line for s in result for _, line in s["values"])
                time.sleep(0.2)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`tenancy: header`, but no client names its tenant: its token does."""
    folder = tmp_path_factory.mktemp("site")
    files, tokens = make_certificates(folder), dict[str, str]()
    for row in TOKENS:
        tokens[row["name"]] = row["token"] = new_token().text
    (folder / "tokens.yaml").write_text(json.dumps(TOKENS))
    http, rpc = free_port(), free_port()
    config = {
        "tenancy": "header",
        "data_dir": str(folder / "data"),
        "auth": {"enabled": True, "tokens_file": str(folder / "tokens.yaml")},
        "server": {
            "http": f"127.0.0.1:{http}",
            "grpc": f"127.0.0.1:{rpc}",
            "tls": {"cert_file": str(files.cert), "key_file": str(files.key)},
        },
    }
    (folder / "narfi.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-m", "narfi.cli", "serve", "--config", f"{folder}/narfi.yaml"]
    found = Site(f"https://127.0.0.1:{http}", f"127.0.0.1:{rpc}", files, tokens, folder)
    with running(command, folder / "log") as process:
        until = time.monotonic() + 180
        while not _is_ready(found):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        yield found


def _is_ready(site: Site) -> bool:
    try:
        with site.client() as client:
            return client.get("/ready").status_code == 200
    except httpx.HTTPError:
        return False


def basic(site: Site, name: str) -> dict[str, str]:
    """A header of Basic, with a user name that means nothing."""
    pair = base64.b64encode(f"anybody:{site.tokens[name]}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def bearer(site: Site, name: str) -> dict[str, str]:
    """A header of a token."""
    return {"Authorization": f"Bearer {site.tokens[name]}"}


def push(site: Site, app: str, *lines: str) -> None:
    """As any program that knows HTTP."""
    now = time.time_ns()
    values = [[str(now + k), line] for k, line in enumerate(lines)]
    with site.client(headers=bearer(site, "promtail")) as client:
        body = {"streams": [{"stream": {"app": app}, "values": values}]}
        assert client.post("/loki/api/v1/push", json=body).status_code == 204


@pytest.mark.parametrize("header", [basic, bearer])
def test_grafana(site: Site, header: Callable[[Site, str], dict[str, str]]) -> None:
    """Its health check, a panel, the builder, alerting's list of rules, and a live tail."""
    push(site, "shown", "in a panel")
    headers = header(site, "grafana") | {
        "User-Agent": "Grafana/12.0.0",
        "X-Query-Tags": "Source=grafana",
        "Sec-Fetch-Site": "same-origin",  # of the browser, which its proxy hands on
        "X-Grafana-Referer": "https://grafana.example.com/explore",
    }
    with site.client(headers=headers) as client:
        health = {"query": "vector(1)+vector(1)", "time": "4000000000"}
        assert client.get("/loki/api/v1/query", params=health).status_code == 200
        for path, parameters in (
            (QUERY, {"query": '{app="shown"}'}),
            ("/loki/api/v1/labels", {}),
            ("/loki/api/v1/label/app/values", {}),
            ("/loki/api/v1/series", {"match[]": '{app="shown"}'}),
            ("/loki/api/v1/index/stats", {"query": '{app="shown"}'}),
            ("/loki/api/v1/index/volume_range", {"query": '{app="shown"}'}),
            ("/loki/api/v1/patterns", {"query": '{app="shown"}'}),
            ("/loki/api/v1/detected_fields", {"query": '{app="shown"}'}),
            ("/loki/api/v1/detected_labels", {}),
            ("/loki/api/v1/drilldown-limits", {}),
            ("/loki/api/v1/status/buildinfo", {}),
            ("/prometheus/api/v1/rules", {}),
            ("/loki/api/v1/rules", {}),
        ):
            answer = client.get(path, params=parameters)
            assert answer.status_code in (200, 404), (path, answer.text)
            assert "no rule groups" in answer.text or answer.status_code == 200
    url = site.url.replace("https", "wss") + '/loki/api/v1/tail?query={app="shown"}'
    context = ssl.create_default_context(cafile=str(site.files.authority))
    with connect(url, ssl=context, additional_headers=header(site, "grafana")) as socket:
        assert json.loads(socket.recv(timeout=60))["streams"]


CREDENTIALS = {
    "bearer_token_file": "bearer_token_file: {token}",
    "bearer_token": "bearer_token: {text}",
    "basic_auth": "basic_auth: {{username: any, password_file: {token}}}",
    "authorization": "authorization: {{credentials_file: {token}}}",
}
PROMTAIL = """
server: {{disable: true}}
positions: {{filename: {folder}/positions.yaml}}
clients:
  - url: {url}/loki/api/v1/push
    batchwait: 100ms
    tls_config: {{ca_file: {ca}}}
    {credentials}
scrape_configs:
  - job_name: files
    static_configs: [{{targets: [localhost], labels: {{app: {app}, __path__: {folder}/*.log}}}}]
"""


@pytest.mark.parametrize("program", ["agent", "promtail"])
@pytest.mark.parametrize("way", CREDENTIALS)
def test_promtail(site: Site, tmp_path: Path, program: str, way: str) -> None:
    found = shutil.which("promtail")
    if program == "promtail" and found is None:
        pytest.skip("promtail is not built: make clients")
    command = [sys.executable, "-m", "narfi.cli", "agent"] if program == "agent" else [str(found)]
    app = f"{program}-{way.replace('_', '-')}"
    token = {"token": site.token_file("promtail"), "text": site.tokens["promtail"]}
    (tmp_path / "promtail.yaml").write_text(
        PROMTAIL.format(
            folder=tmp_path,
            url=site.url,
            ca=site.files.authority,
            app=app,
            credentials=CREDENTIALS[way].format(**token),
        )
    )
    (tmp_path / "a.log").write_text("one line\n")
    with running([*command, f"-config.file={tmp_path}/promtail.yaml"], tmp_path / "out"):
        assert site.lines(f'{{app="{app}"}}') == ["one line"]
    assert site.tokens["promtail"] not in (tmp_path / "out").read_text()


def exported(exporter: Any, line: str) -> None:
    """One record, by OpenTelemetry's own SDK."""
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    provider = LoggerProvider(resource=Resource.create({"service.name": line}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = logging.Logger("shop")
    logger.addHandler(LoggingHandler(logger_provider=provider))
    logger.error(line)
    provider.shutdown()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_opentelemetry_over_http(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(site.files.authority))
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    exporter = OTLPLogExporter(
        endpoint=f"{site.url}/otlp/v1/logs",
        headers=bearer(site, "promtail"),
    )
    exported(exporter, "otel-http")
    assert site.lines('{service_name="otel-http"}') == ["otel-http"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_opentelemetry_over_grpc(site: Site) -> None:
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

    exporter = OTLPLogExporter(
        endpoint=site.grpc,
        credentials=grpc.ssl_channel_credentials(site.files.authority.read_bytes()),
        headers=(("authorization", f"Bearer {site.tokens['promtail']}"),),
    )
    exported(exporter, "otel-grpc")
    assert site.lines('{service_name="otel-grpc"}') == ["otel-grpc"]


@pytest.mark.parametrize("program", ["narfi", "logcli"])
@pytest.mark.parametrize("way", ["token", "token file", "password"])
def test_logcli(site: Site, program: str, way: str) -> None:
    found = shutil.which("logcli")
    if program == "logcli" and found is None:
        pytest.skip("logcli is not built: make clients")
    command = [sys.executable, "-m", "narfi.cli"] if program == "narfi" else [str(found)]
    push(site, "asked", "an answer")
    given = {
        "token": {"LOKI_BEARER_TOKEN": site.tokens["grafana"]},
        "token file": {"LOKI_BEARER_TOKEN_FILE": str(site.token_file("grafana"))},
        "password": {"LOKI_USERNAME": "any", "LOKI_PASSWORD": site.tokens["grafana"]},
    }[way]
    ca = {"LOKI_CA_CERT_PATH": str(site.files.authority), "LOKI_ADDR": site.url}
    asked = ["query", '{app="asked"}', "--output=raw", "--quiet", "--limit=1"]
    done = subprocess.run(
        [*command, *asked],
        capture_output=True,
        text=True,
        env={**os.environ, **ca, **given},
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "an answer\n"), done.stderr


def test_curl(site: Site) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    values = [[str(time.time_ns()), "by curl"]]
    body = json.dumps({"streams": [{"stream": {"app": "curl"}, "values": values}]})
    command = ["curl", "-sS", "-w", "%{http_code}", "--cacert", str(site.files.authority)]
    command += ["-u", f"shop:{site.tokens['promtail']}", "-H", "Content-Type: application/json"]
    command += [f"{site.url}/loki/api/v1/push", "--data-raw", body]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "204", done.stderr
    assert site.lines('{app="curl"}') == ["by curl"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_python_logging_loki(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(site.files.authority))
    import logging_loki

    handler = logging_loki.LokiHandler(
        url=f"{site.url}/loki/api/v1/push",
        tags={"app": "plain"},
        auth=("any", site.tokens["promtail"]),
        version="1",
    )
    handler.handleError = lambda record: pytest.fail("the push was refused")
    logger = logging.Logger("shop")
    logger.addHandler(handler)
    logger.warning("something odd")
    assert site.lines('{app="plain"}') == ["something odd"]


def test_who_writes_rules_and_who_scrapes(site: Site) -> None:
    """As `cortextool`, Grafana's rule editor and Prometheus do."""
    group = "name: g\nrules: [{record: r, expr: 'sum(count_over_time({app=\"x\"}[1m]))'}]\n"
    with site.client(headers=basic(site, "rules")) as client:
        made = client.post("/loki/api/v1/rules/ns", content=group)
        assert made.status_code == 202, made.text
        assert "name: g" in client.get("/loki/api/v1/rules/ns").text
        assert client.delete("/loki/api/v1/rules/ns/g").status_code == 202
    with site.client(headers=bearer(site, "prometheus")) as client:
        assert "narfi_sign_ins_total" in client.get("/metrics").text
        assert client.get("/config").status_code == 403


def test_who_is_refused_while_it_sends_reads_why(site: Site) -> None:
    """Over TLS too: an answer, not a broken connection."""
    with site.client() as client:
        answer = client.post("/loki/api/v1/push", content=bytes(300_000))
        assert (answer.status_code, "a token is required" in answer.text) == (401, True)


def test_the_log_tells_no_token(site: Site) -> None:
    log = (site.folder / "log").read_text()
    assert "tokens are needed" in log
    assert [name for name, token in site.tokens.items() if token in log] == []
