"""Is every mistake of a configuration told with its line, and is what Promtail takes taken?

`config/bad/` has one mistake a file; its first line is what must be told: `line: key: message`.
"""

from pathlib import Path

import pytest

from promtail_agent.config import ABSENT, AgentConfig
from promtail_agent.config_file import load_agent_config
from promtail_agent.errors import ConfigError

BAD = sorted((Path(__file__).parent / "config" / "bad").glob("*.yaml"))
GOOD_FOLDER = Path(__file__).parent / "config" / "good"
GOOD = sorted(GOOD_FOLDER.glob("*.yaml"))
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
    """Its first lines say what is told of: `notice`, ignored keys; `idle`, keys without effect."""
    monkeypatch.setenv("HOSTNAME", "node-1")
    config = load_agent_config(file, expand_env=True)
    rows = file.read_text().splitlines()
    notices = [row.removeprefix("# notice: ") for row in rows if row.startswith("# notice: ")]
    expected = [f"{file}:{notice}: not a key of this stage, ignored" for notice in notices]
    assert list(config.notices) == expected
    idle = {row.removeprefix("# idle: ") for row in rows if row.startswith("# idle: ")}
    assert set(config.without_effect()) == idle


def load(text: str, folder: Path) -> AgentConfig:
    """The configuration of a text."""
    file = folder / "agent.yaml"
    file.write_text(text)
    return load_agent_config(file)


def test_a_label_without_a_value_is_as_if_absent(tmp_path: Path) -> None:
    config = load(
        "clients: [{url: 'http://x/', external_labels: {a: , b: c}, headers: {X: , Y: z}}]\n"
        "scrape_configs:\n  - job_name: a\n"
        "    static_configs: [{labels: {job: , b: c, __path__: /x}}]\n"
        "    syslog: {listen_address: ':1', labels: {a: , b: c}}\n"
        "    gelf: {labels: {a: , b: c}}\n    journal: {labels: {a: , b: c}}\n"
        "    loki_push_api: {labels: {a: , b: c}}\n",
        tmp_path,
    )
    (client,), (job,) = config.clients, config.scrape_configs
    assert (client.external_labels, client.headers) == ({"b": "c"}, {"Y": "z"})
    assert job.static_configs[0].labels == {"b": "c", "__path__": "/x"}
    for source in (job.syslog, job.gelf, job.journal, job.loki_push_api):
        assert source is not None
        assert source.labels == {"b": "c"}


def test_merge_keys_and_case(tmp_path: Path) -> None:
    config = load_agent_config(GOOD_FOLDER / "anchors.yaml")
    first, second = config.clients
    assert (second.url, second.timeout) == ("http://two/loki/api/v1/push", 5.0)
    assert second.backoff_config == first.backoff_config
    assert [job.encoding for job in config.scrape_configs] == ["", "utf-16"]
    with pytest.raises(ConfigError, match=r"agent.yaml:1: clients\[0\].Url: unknown key"):
        load("clients: [{Url: 'http://x/'}]", tmp_path)  # outside of stages case counts


def test_an_exact_key_of_a_stage_goes_before_another_case(tmp_path: Path) -> None:
    config = load(
        CLIENT + "scrape_configs:\n  - job_name: a\n    gelf: {}\n"
        "    pipeline_stages: [{output: {SOURCE: a, source: b}}]\n",
        tmp_path,
    )
    (spec,) = config.scrape_configs[0].pipeline_stages
    assert spec.config.source == "b"  # type: ignore[attr-defined]
    assert config.notices[0].endswith(".output.SOURCE: not a key of this stage, ignored")


def test_an_ignored_key_hides_no_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="output source value is required"):
        load(
            CLIENT + "scrape_configs:\n  - job_name: a\n    gelf: {}\n"
            "    pipeline_stages: [{output: {sorce: a}}]\n",
            tmp_path,
        )


def test_client_flags_go_before_the_deprecated_client(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("client: {url: 'http://x/', timeout: 5s, tenant_id: a}")
    given = {("tenant_id",): "b", ("backoff_config", "max_retries"): 3}
    (client,) = load_agent_config(file, client=given).clients
    assert (client.tenant_id, client.timeout) == ("b", 5.0)
    assert client.backoff_config.max_retries == 3
    file.write_text(CLIENT)
    config = load_agent_config(file, client=given)
    assert config.clients[0].tenant_id == ""
    assert config.notices == ("flags of a client have no effect without -client.url",)


def test_a_form_without_meaning_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(CLIENT + "positions: {filename: '${A'}\n")
    with pytest.raises(ConfigError, match=r"agent.yaml:2: missing closing brace"):
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
