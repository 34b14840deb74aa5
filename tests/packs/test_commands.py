"""`narfi packs` as a user runs it, and an agent with packs before a server."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from narfi.cli.main import app
from narfi.core.errors import AppError
from promtail_agent.config_file import load_agent_config
from promtail_agent.packs.load import SHIPPED
from tests.served import Api, running

__all__ = ("running",)

RUNNER = CliRunner()


def narfi(*arguments: str) -> str:
    """What a command prints; it must succeed."""
    found = RUNNER.invoke(app, ["packs", *arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.fixture
def api(running: object, request: pytest.FixtureRequest) -> Api:
    """A tenant of its own."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return Api(running.url, name, running.grpc)  # type: ignore[attr-defined]


def test_list_and_show() -> None:
    names = {file.parent.name for file in SHIPPED.glob("*/pack.yaml")}
    assert {line.split()[0] for line in narfi("list").splitlines()} == names
    shown = narfi("show", "harbor")
    assert 'selector    {service_name=~"harbor.*"}' in shown
    assert "label       log: audit, access, registry" in shown
    assert "field       deleted_blobs (number)" in shown


def test_what_is_rendered_can_be_used(tmp_path: Path) -> None:
    names = [file.parent.name for file in sorted(SHIPPED.glob("*/pack.yaml"))]
    file = tmp_path / "promtail.yaml"
    file.write_text(narfi("render", *names, "--set", "url=http://localhost:1/push"))
    config = load_agent_config(file)
    assert config.clients[0].url == "http://localhost:1/push"
    assert config.scrape_configs[0].job_name == "pods"
    assert config.notices == ()
    document = yaml.safe_load(file.read_text())
    assert not any("packs" in job for job in document["scrape_configs"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nobody",), 'no pack "nobody"'),
        (("harbor", "--format", "nothing"), 'no format "nothing"'),
        (("harbor", "--set", "x"), "NAME=VALUE"),
        (("harbour",), 'did you mean "harbor"'),
        (("nginx", "--set", "acces_log=x"), "no such variable of nginx: access_log, error_log, "),
        (("harbor", "argocd", "--format", "grafana"), "of one pack"),
    ],
)
def test_what_cannot_be_rendered(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(AppError, match=told):
        narfi("render", *arguments)


def test_detect_names_the_formats() -> None:
    sample = SHIPPED / "jenkins/samples/controller.log"
    first = narfi("detect", str(sample)).splitlines()[0]
    assert first.split()[:2] == ["jenkins", "jenkins-controller"]


LINES = {
    "json": '{"time":"2026-11-20T08:00:01.5Z","level":"info","msg":"x","n":%d}',
    "logfmt": "ts=2026-11-20T08:00:01.5Z level=warn msg=x n=%d",
    "logfmt behind a time": "2026-11-20T08:00:%02d.5Z level=warn msg=x count=1",
    "text": "2026-11-20 08:00:01.500 worker took %d ms for job",
}


@pytest.mark.parametrize("kind", LINES)
def test_a_drafted_pack_keeps_its_own_promises(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("web.log").write_text("".join(f"{LINES[kind] % k}\n" for k in range(20)))
    told = narfi("new", "mine", "--from", "web.log")
    assert f"a draft for {kind.split()[0]} lines" in told
    if kind == "logfmt behind a time":
        assert "fields: level, count\n" in told, "times are no keys"
        stages = yaml.safe_load(Path("mine/stages/mine.yaml").read_text())
        assert [next(iter(stage)) for stage in stages][:2] == ["regex", "timestamp"]
    assert narfi("test", "./mine") == "mine: 1 samples, 20 entries, 0 questions: as expected\n"
    with pytest.raises(AppError, match="is there already"):
        narfi("new", "mine", "--from", "web.log")
    Path("mine/samples/web.expected.jsonl").write_text("")
    found = RUNNER.invoke(app, ["packs", "test", "./mine"])
    assert found.exit_code == 1
    assert "an entry too much" in found.output


def test_another_folder_of_samples() -> None:
    with pytest.raises(AppError, match="no folder of samples"):
        narfi("test", "tekton", "--samples", str(SHIPPED / "tekton"))
    told = narfi("test", "tekton", "--samples", str(SHIPPED / "tekton/samples"))
    assert told.startswith("tekton: ")
    assert told.endswith(" questions: as expected\n")


def test_expectations_of_another_folder_are_drafted(tmp_path: Path) -> None:
    folder = tmp_path / "prometheus"
    folder.mkdir()
    line = 'time=2026-11-20T08:00:01.123Z level=ERROR source=main.go:1 msg="x" component=notifier\n'
    (folder / "server.log").write_text(line)
    told = narfi("test", "--samples", str(tmp_path), "--draft")
    assert f"{folder / 'server.expected.jsonl'}: written" in told
    assert "prometheus: 1 samples, 1 entries, 0 questions: as expected" in told


def test_a_pack_that_cannot_be_read_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/pack.yaml").write_text("name: broken\n")
    monkeypatch.setenv("NARFI_PACKS", f"{tmp_path}:{tmp_path}/none")
    found = RUNNER.invoke(app, ["packs", "list"])
    assert found.exit_code == 1
    assert "tekton " in found.stdout
    assert "broken/pack.yaml:1: title: this key is required" in found.stderr
    assert f"{tmp_path}/none of NARFI_PACKS is no folder" in found.stderr


def test_jobs_that_are_left_out_are_told(tmp_path: Path) -> None:
    found = RUNNER.invoke(app, ["packs", "render", "nginx", "--set", "access_log=/x"])
    assert found.stderr == (
        "narfi: job nginx-error of pack nginx is left out: it needs --set error_log=…\n"
    )
    assert yaml.safe_load(found.stdout)["scrape_configs"]


def test_rules_are_brought_and_taken(api: Api, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "pack.yaml").write_text("name: mine\ntitle: Mine\n")
    rule = "  - {alert: A, expr: 'sum(count_over_time({$selector}[5m])) > 0'}\n"
    groups = [f"- name: {name}\n  rules:\n{rule}" for name in ("one", "two")]
    flags = ["--addr", api.url, "--org-id", api.tenant, "--quiet"]
    (folder / "rules.yaml").write_text("groups:\n" + "".join(groups))
    assert (
        narfi("apply", str(folder), *flags) == "pack-mine: 2 groups, 2 rules brought, 0 removed\n"
    )
    (folder / "rules.yaml").write_text("groups:\n" + groups[1])
    assert (
        narfi("apply", str(folder), *flags) == "pack-mine: 1 groups, 1 rules brought, 1 removed\n"
    )
    found = yaml.safe_load(api.get("/loki/api/v1/rules").text)
    assert [group["name"] for group in found["pack-mine"]] == ["two"]
    assert 'service_name=~"mine.*"' in found["pack-mine"][0]["rules"][0]["expr"]


def test_an_agent_with_packs_before_a_server(api: Api, tmp_path: Path) -> None:
    """As a user writes it: names of packs, files with labels; the real agent and server."""
    groups = [
        {
            "targets": ["localhost"],
            "labels": {
                "service_name": system,
                "component": component,
                "__path__": str(SHIPPED / system / "samples" / f"{component}.log"),
            },
        }
        for system, component in (("harbor", "proxy"), ("harbor", "core"))
    ]
    config = {
        "server": {"disable": True},
        "clients": [{"url": f"{api.url}/loki/api/v1/push", "tenant_id": api.tenant}],
        "positions": {"filename": str(tmp_path / "positions.yaml")},
        "packs": ["harbor", "jenkins", "argocd"],
        "scrape_configs": [{"job_name": "files", "static_configs": groups}],
    }
    file = tmp_path / "agent.yaml"
    file.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "narfi.cli", "agent", "-config.file", str(file)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    query = "sum by (service_name, component, log) (count_over_time({service_name=~`.+`}[1h]))"
    wanted = {("harbor", "proxy", "access"): 12, ("harbor", "core", None): 9}
    try:
        deadline = time.monotonic() + 60
        found: dict[tuple[str | None, ...], int] = {}
        while found != wanted and time.monotonic() < deadline:
            time.sleep(0.3)
            answer = api.get("/loki/api/v1/query", query=query).json["data"]["result"]
            found = {
                tuple(one["metric"].get(n) for n in ("service_name", "component", "log")): int(
                    one["value"][1]
                )
                for one in answer
            }
        assert found == wanted
    finally:
        process.terminate()
        process.wait(20)
