"""Is every mistake of a configuration told with its line, and is what Promtail takes taken?

`config/bad/` has one mistake a file; its first line is what must be told: `line: key: message`.
"""

from pathlib import Path

import pytest

from promtail_agent.config import ABSENT
from promtail_agent.config_file import load_agent_config
from promtail_agent.errors import ConfigError

BAD = sorted((Path(__file__).parent / "config" / "bad").glob("*.yaml"))
GOOD = sorted((Path(__file__).parent / "config" / "good").glob("*.yaml"))
CLIENT = "clients: [{url: 'http://localhost/loki/api/v1/push'}]\n"


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_mistake_is_told_with_its_line(file: Path) -> None:
    expected = file.read_text().splitlines()[0].removeprefix("# expected: ")
    with pytest.raises(ConfigError) as caught:
        load_agent_config(file)
    assert caught.value.message.startswith(f"{file}:{expected}")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_what_is_right_is_taken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTNAME", "node-1")
    load_agent_config(file, expand_env=True)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(
        CLIENT + "servr: {}\nscrape_configs:\n  - job_name: a\n    nope: 1\n"
        "    static_configs: [{labels: {__path__: /x}}]\n    pipeline_stages: [{cry: {}}]\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_agent_config(file)
    lines = caught.value.message.splitlines()
    assert [line.split(":")[1] for line in lines] == ["2", "5", "7"]


@pytest.mark.parametrize("key", sorted(ABSENT - {"attach_metadata"}))
def test_sources_of_promtail_that_are_not_there_are_told(key: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(CLIENT + f"scrape_configs:\n  - job_name: a\n    {key}: []\n")
    with pytest.raises(ConfigError, match=rf"{key}: not supported"):
        load_agent_config(file)


def test_the_environment_is_expanded_where_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("clients: [{url: '${URL}', tenant_id: '${T:-team}${NONE_AT_ALL}'}]\n")
    monkeypatch.setenv("URL", "http://there/")
    (client,) = load_agent_config(file, expand_env=True).clients
    assert (client.url, client.tenant_id) == ("http://there/", "team")
    with pytest.raises(ConfigError, match="must start with"):
        load_agent_config(file)


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(
        "client: {url: 'http://old/', external_labels: {a: own}}\n" + "positions: {filename: /p}\n"
    )
    config = load_agent_config(
        file,
        overrides={("positions", "filename"): "/q", ("server", "log_level"): "debug"},
        client={"url": "http://more/"},
        external_labels={"a": "given", "b": "given"},
    )
    assert [client.url for client in config.clients] == ["http://old/", "http://more/"]
    assert config.clients[0].external_labels == {"a": "own", "b": "given"}
    assert config.clients[1].external_labels == {"a": "given", "b": "given"}
    assert config.positions.filename == "/q"
    assert config.server.log_level == "debug"


def test_keys_without_effect_are_told(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(
        CLIENT + "server: {grpc_listen_port: 0, http_listen_port: 9080}\n"
        "wal: {enabled: true, dir: /w, cleanSegmentsOlderThan: 1h}\n"
    )
    config = load_agent_config(file)
    assert config.without_effect() == ["server.grpc_listen_port", "wal.cleanSegmentsOlderThan"]
    assert config.spool_directory == "/w"


def test_scalars_are_what_their_key_takes_as_in_go(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("""
clients:
  - url: http://x/
    tenant_id: 007
    external_labels: {build: 1.0, on: yes, day: 2025-01-01}
    timeout:
server:
scrape_configs:
  - job_name: 5
    static_configs: [{labels: {__path__: /x, port: 80}}]
    relabel_configs: [{source_labels: [a], regex: off, action: drop, separator: }]
    pipeline_stages:
      - static_labels: {zone: 1}
      - drop: {source: code, value: 200, longer_than: 10}
      - json: {expressions: {a: }, drop_malformed: true}
""")
    config = load_agent_config(file)
    (client,) = config.clients
    assert client.tenant_id == "007"
    assert client.external_labels == {"build": "1.0", "on": "yes", "day": "2025-01-01"}
    assert client.timeout == 10.0
    (job,) = config.scrape_configs
    assert job.job_name == "5"
    assert job.static_configs[0].labels["port"] == "80"
    assert (job.relabel_configs[0].regex, job.relabel_configs[0].separator) == ("off", ";")
    labels, drop, fields = (spec.config for spec in job.pipeline_stages)
    assert labels.root == {"zone": "1"}  # type: ignore[attr-defined]
    assert (drop.value, drop.longer_than) == ("200", 10)  # type: ignore[attr-defined]
    assert fields.drop_malformed is True  # type: ignore[attr-defined]
