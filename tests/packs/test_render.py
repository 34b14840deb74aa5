"""Are packs rendered for other programs whole? Every stage has its form there, or is an error."""

from pathlib import Path

import pytest
import yaml

from promtail_agent.config_file import load_agent_config
from promtail_agent.errors import ConfigError
from promtail_agent.packs.alloy import alloy_text
from promtail_agent.packs.kustomize import kustomize_text
from promtail_agent.packs.load import Shelf
from promtail_agent.packs.otel_templates import choices_of
from promtail_agent.packs.otel_values import level_map
from promtail_agent.packs.otelcol import otelcol_text
from promtail_agent.packs.pack import Pack
from promtail_agent.packs.whole import agent_text

SHELF = Shelf.of_environment({})
NAMES = SHELF.names()
GIVEN = {"syslog": "0.0.0.0:1514", "journal": "/var/log/journal", "audit_log": "/a.log"}


@pytest.mark.parametrize("name", NAMES)
def test_alloy(name: str) -> None:
    text = alloy_text([SHELF.find(name)], GIVEN)
    depth = 0
    for line in text.splitlines():
        bare = "".join(line.split('"')[::2]) if '\\"' not in line else ""
        depth += bare.count("{") - bare.count("}") if bare else 0
        assert "None" not in bare
    assert depth == 0
    assert text.count("loki.process ") == text.count("forward_to = [loki.write.narfi.receiver]")


def test_alloy_of_a_job_line_by_line(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "pack.yaml").write_text("name: shop\ntitle: Shop\n")
    (folder / "scrape.yaml").write_text(
        "- job_name: web-files\n"
        "  static_configs: [{labels: {__path__: '${files}', app: shop}}]\n"
        "  pipeline_stages:\n"
        "    - json: {expressions: {a: , b: 'x.\"y\"'}}\n"
        "    - drop: {source: [a, b], expression: 'x;\\d'}\n"
        "    - match: {selector: '{app=\"shop\"}', stages: [{labels: {a: }}]}\n"
    )
    pack = Shelf([tmp_path]).find("shop")
    assert "is left out: it needs --set files=…" in alloy_text([pack], {})
    text = alloy_text([pack], {"files": "/v/*.log"})
    for line in (
        'targets = [{"__address__": "localhost", "__path__": "/v/*.log", "app": "shop"}]',
        'expressions = {"a" = "", "b" = "x.\\"y\\""}',
        'source = "a,b"',
        'expression = "x;\\\\d"',
        'selector = "{app=\\"shop\\"}"',
        'values = {"a" = ""}',
        'values = ["pack"]',
    ):
        assert line.replace('": ', '" = ') in text, line


@pytest.mark.parametrize("name", NAMES)
def test_otelcol(name: str) -> None:
    document = yaml.safe_load(otelcol_text([SHELF.find(name)], {}))
    receivers = document["receivers"]
    assert set(document["service"]["pipelines"]["logs"]["receivers"]) == receivers.keys() != set()
    for receiver in receivers.values():
        named = {one["id"] for one in receiver["operators"] if "id" in one}
        for one in receiver["operators"]:
            outputs = [route["output"] for route in one.get("routes", ())]
            outputs += [one[key] for key in ("output", "default") if key in one]
            assert set(outputs) <= named


def test_a_stage_without_a_form_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    (folder / "stages").mkdir(parents=True)
    pack = "name: shop\ntitle: Shop\nstreams: [{component: a, format: f}]\nmatch: [{image: x}]\n"
    (folder / "pack.yaml").write_text(pack)
    (folder / "stages/f.yaml").write_text("- sampling: {rate: 0.5}\n")
    found: Pack = Shelf([tmp_path]).find("shop")
    for render in (alloy_text, otelcol_text):
        with pytest.raises(ConfigError, match="stage sampling has no form"):
            render([found], {})


def test_kustomize_holds_what_an_agent_reads(tmp_path: Path) -> None:
    packs = [SHELF.find(name) for name in NAMES]
    document = yaml.safe_load(kustomize_text(packs, {}))
    assert document["kind"] == "Component"
    patch = yaml.safe_load(document["patches"][0]["patch"])
    assert patch["metadata"] == {"name": "narfi-agent", "namespace": "narfi"}
    file = tmp_path / "agent.yaml"
    file.write_text(patch["data"]["agent.yaml"])
    config = load_agent_config(file)
    assert config.clients[0].url == "http://narfi.narfi.svc:3100/loki/api/v1/push"
    assert len(config.scrape_configs) == 1, "a file that two jobs match is read twice"


def test_jobs_of_a_pack_need_their_variables() -> None:
    harbor = SHELF.find("harbor")
    assert "job harbor-syslog of pack harbor is left out: it needs --set syslog=…" in agent_text(
        [harbor], {}
    )
    jobs = yaml.safe_load(agent_text([harbor], {"syslog": "0.0.0.0:1514"}))["scrape_configs"]
    assert [job["job_name"] for job in jobs] == ["pods", "harbor-syslog"]
    assert jobs[1]["syslog"]["listen_address"] == "0.0.0.0:1514"


@pytest.mark.parametrize(
    ("template", "source", "words"),
    [
        ('{{ if eq .Value "W" "WARN" }}warn{{ else }}{{ ToLower .Value }}{{ end }}', "Value", "W"),
        ('{{ if eq .kind "W" }}warn{{ end }}', "kind", "W"),
    ],
)
def test_words_of_levels(template: str, source: str, words: str) -> None:
    found = level_map(template)
    assert found is not None
    assert found[0] == source
    assert words in found[1]["warn"]
    assert "ERROR" in found[1]["error"]
    assert level_map("{{ if .v }}info{{ end }}") is None


THERE = '(attributes["{0}"] != nil and attributes["{0}"] != "")'


@pytest.mark.parametrize(
    ("template", "choices"),
    [
        (
            '{{ if eq .a "x" "y" }}one{{ else if and .b .c }}two{{ else }}rest{{ end }}',
            [
                ('(attributes["a"] == "x" or attributes["a"] == "y")', "one"),
                (f"({THERE.format('b')} and {THERE.format('c')})", "two"),
                ("true", "rest"),
            ],
        ),
        ("{{ if .v }}info{{ end }}", [(THERE.format("v"), "info")]),
        (
            '{{ if or (eq .Value "A b") (not .w) }}{{ .w }}{{ end }}',
            [
                (
                    f'((attributes["level"] == "A b") or (not {THERE.format("w")}))',
                    'EXPR(attributes["w"])',
                )
            ],
        ),
        (
            '{{ if hasPrefix "DEBUG" .s }}debug{{ end }}',
            [('(attributes["s"] != nil and attributes["s"] startsWith "DEBUG")', "debug")],
        ),
        ("{{ ToLower .Value }}", [("true", 'EXPR(lower(attributes["level"]))')]),
        ("x{{ if .v }}info{{ end }}", None),
        ("{{ if .v }}info{{ end }}x", None),
        ("{{ if .v }}a{{ .b }}{{ end }}", None),
        ("{{ if gt .v 3 }}info{{ end }}", None),
        ("{{ range .v }}info{{ end }}", None),
    ],
)
def test_choices(template: str, choices: list[tuple[str, str]] | None) -> None:
    assert choices_of(template, "level") == choices
