"""Do settings mean what is written, and are mistakes told?"""

from pathlib import Path

import pytest

from narfi.core.retention import DAY_NS, StreamRetention
from narfi.core.setting_types import min_free_bytes
from narfi.core.settings import (
    SettingsError,
    limits_of,
    load_settings,
    unrelated_variables,
)
from narfi.core.tenant import TenantId
from storage.block.layout import FORMAT_VERSION

RETENTION = """
limits:
  retention_period: 30d
  retention_stream:
    - {selector: '{app="debug"}', priority: 1, period: 48h}
overrides:
  own-list: {retention_stream: [{selector: '{app="x"}', period: 1d}]}
  own-period: {retention_period: 2d}
"""


@pytest.mark.parametrize(
    ("text", "disk", "found"),
    [
        ("0", 1000, 0),
        ("512MB", 10**12, 512 * 2**20),
        ("5%", 1000, 50),
        ("0.5%", 1000, 5),
        ("512MB,5%", 10**12, 512 * 2**20),
        ("512MB, 5%", 2**30, 2**30 * 5 // 100),
        ("2TB", 1, 2**41),
    ],
)
def test_free_space_is_the_smallest_of_sizes_and_shares(text: str, disk: int, found: int) -> None:
    assert min_free_bytes(text, disk) == found


def test_variables_that_only_begin_as_settings_do() -> None:
    """Kubernetes gives these to every pod beside a Service named narfi."""
    environment = {
        "NARFI_PORT": "tcp://10.0.0.1:3100",
        "NARFI_SERVICE_HOST": "10.0.0.1",
        "NARFI_SERVICE_PORT": "3100",
        "NARFI_SERVICE_PORT_HTTP": "3100",
        "NARFI_PORT_3100_TCP": "tcp://10.0.0.1:3100",
        "NARFI_PORT_3100_TCP_ADDR": "10.0.0.1",
        "NARFI_PORT_3100_TCP_PROTO": "tcp",
        "NARFI_SERVER_SERVICE_HOST": "10.0.0.2",
        "NARFI_LOG_LEVEL": "a typo: one underscore",
        "NARFI_": "",
        "NARFIX": "",
    }
    assert load_settings(None, environment, {}) == load_settings(None, {}, {})
    assert unrelated_variables(environment) == sorted(environment.keys() - {"NARFIX"})


def test_variables_that_are_settings() -> None:
    environment = {
        "NARFI_DATA_DIR": "/d",
        "NARFI_TENANCY": "header",
        "NARFI_SERVER__HTTP": "127.0.0.1:1",
        "NARFI_LOG__LEVEL": "debug",
        "NARFI_LIMITS__MAX_QUERY_SERIES": "7",
        "NARFI_LIMITS__INGESTION_RATE_MB": "2.5",
        "NARFI_LIMITS__REJECT_OLD_SAMPLES": "false",
        "NARFI_LIMITS__QUERY_TIMEOUT": "5s",
        "NARFI_LIMITS__REQUIRED_LABELS": "a, b",
    }
    settings = load_settings(None, environment, {})
    assert (str(settings.data_dir), settings.tenancy) == ("/d", "header")
    assert (settings.server.http, settings.log.level) == ("127.0.0.1:1", "debug")
    limits = limits_of(settings)(TenantId("any"))
    assert (limits.max_query_series, limits.ingestion_rate_mb) == (7, 2.5)
    assert (limits.reject_old_samples, limits.query_timeout_ns) == (False, 5 * 10**9)
    assert limits.required_labels == ("a", "b")
    assert unrelated_variables(environment) == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("NARFI_HTTP__PROT", "1", "NARFI_HTTP__PROT: unknown key 'http.prot'"),
        ("NARFI_SERVER__PROT", "1", "NARFI_SERVER__PROT: unknown key 'server.prot'"),
        ("NARFI_LOG__LEVEL", "loud", "NARFI_LOG__LEVEL: log.level: "),
        ("NARFI_LOG", "debug", "NARFI_LOG: log: "),
        ("NARFI_LIMITS__MAX_LIN", "1", "NARFI_LIMITS__MAX_LIN: unknown limit 'max_lin'"),
        ("NARFI_LIMITS__MAX_QUERY_SERIES", "x", "NARFI_LIMITS__MAX_QUERY_SERIES: limit max_query"),
    ],
)
def test_a_variable_that_is_a_wrong_setting_is_named(name: str, value: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {name: value}, {})
    assert caught.value.message.startswith(told)


MISTAKES = [
    ("server:\n  htpp: x:1\n", "2: unknown key 'server.htpp'; did you mean 'server.http'?"),
    ("\nhttp: x:1\n", "2: unknown key 'http'; did you mean 'server.http'?"),
    (
        "auth_enabled: true\n",
        "1: unknown key 'auth_enabled': Loki's key; here it is tenancy: header",
    ),
    ("log: {colour: no}\n", "1: unknown key 'log.colour'; known here: level, format, requests"),
    ("server:\n  http: 3100\n", "2: server.http: must be a text: put it in quotes (found 3100)"),
    ("server:\n  http:\n", "2: server.http: has no value: give one, or leave the key out"),
    ("server: x:1\n", "1: server: has keys of its own: write them below it, indented"),
    ("a: 1\ntenancy: single\ntenancy: header\n", "3: tenancy: key given twice"),
    ("querier: {query_timeout: 1m}\n", "1: unknown key 'querier.query_timeout'"),
    ("ruler:\n  resend_delay: 5\n", "2: ruler.resend_delay: a duration needs its unit"),
    ("limits:\n\n  retention_period: 7\n", "3: limits: limit retention_period: a duration needs"),
    (
        "limits:\n  max_lin_size: 1\n",
        "2: limits: unknown limit 'max_lin_size'; did you mean 'max_line",
    ),
    ("overrides:\n  a:\n    x_y: 1\n", "3: overrides.a: unknown limit 'x_y'"),
    ("overrides:\n  a/b: {}\n", "2: overrides: no tenant has that id: tenant ID 'a/b' contains"),
    ("roles: [querier]\n", "1: roles: ingester, compactor, ruler would be in another process"),
    ("server:\n\thttp: x:1\n", "2: not valid YAML: found character"),
    ("server: {http: 'x:1'\n", "2: not valid YAML: expected ',' or '}'"),
    ("- a\n", "1: must hold keys and values such as `data_dir: data`, not a list"),
    ("limits: &a {x: *a}\n", "1: limits.x: an alias of what it is within"),
    ("limits: &a {<<: *a}\n", "1: limits: an alias of what it is within"),
]


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_a_way_out(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "narfi.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path, {}, {})
    assert caught.value.message.startswith(f"{path}:{told}")
    assert "\n" not in caught.value.message


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "narfi.yaml"
    path.write_bytes(b"tenancy: single # \xff\n")
    with pytest.raises(SettingsError, match=r"is not UTF-8 \(byte 18\)"):
        load_settings(path, {}, {})
    path.write_bytes(b"\xef\xbb\xbftenancy: header\n")
    assert load_settings(path, {}, {}).tenancy == "header", "a mark of Windows' editors"


def test_the_file_can_name_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "narfi.yaml"
    path.write_text("data_dir: ${FOLDER:-/var}/narfi\nserver: {path_prefix: '$${x}${X^^}'}\n")
    settings = load_settings(path, {"X": "up"}, {}, expand_env=True)
    assert (str(settings.data_dir), settings.server.path_prefix) == ("/var/narfi", "${x}UP")
    assert str(load_settings(path, {}, {}).data_dir) == "${FOLDER:-/var}/narfi"
    path.write_text("data_dir: x\ntenancy: ${A\n")
    with pytest.raises(SettingsError, match=r"narfi.yaml:2: missing closing brace"):
        load_settings(path, {}, {}, expand_env=True)


@pytest.mark.parametrize("text", ["x", "5 %%", "100%", "-1", "512MB,", "%"])
def test_what_is_no_free_space(text: str) -> None:
    with pytest.raises(SettingsError, match="min_free_disk"):
        load_settings(None, {"NARFI_COMPACTOR__MIN_FREE_DISK": text}, {})


def test_lists_of_stream_retention(tmp_path: Path) -> None:
    path = tmp_path / "narfi.yaml"
    path.write_text(RETENTION)
    limits = limits_of(load_settings(path, {}, {}))
    general = (StreamRetention('{app="debug"}', 1, 2 * DAY_NS),)
    assert limits(TenantId("any")).retention_stream == general
    assert limits(TenantId("own-period")).retention_stream == general
    assert limits(TenantId("own-period")).retention_period_ns == 2 * DAY_NS
    assert limits(TenantId("own-list")).retention_stream == (
        StreamRetention('{app="x"}', 0, DAY_NS),
    )


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("{selector: '{a=\"b\"}', period: 12h}", "retention period must be >= 24h was 12h"),
        ("{selector: '{a=\"b\"}'}", "selector, priority and period"),
        ("{selector: '{a=\"b\"}', period: 24h, x: 1}", "unknown key 'x'"),
        ("{selector: '{a=\"b\"}', period: soon}", "not a duration"),
        ("{selector: '{a=\"b\"}', period: 24h, priority: high}", "priority"),
        ("text", "selector, priority and period"),
    ],
)
def test_mistakes_in_them(tmp_path: Path, item: str, told: str) -> None:
    path = tmp_path / "narfi.yaml"
    path.write_text(f"limits: {{retention_stream: [{item}]}}")
    with pytest.raises(SettingsError, match=told) as caught:
        load_settings(path, {}, {})
    assert "retention_stream" in caught.value.message


def test_secrets_are_not_shown_nor_told() -> None:
    variables = {
        "NARFI_CATALOG__URL": "postgresql://me:s3cret@host/db?password=s3cret",
        "NARFI_STORAGE__URL": "s3://bucket/prefix?endpoint=https://host",
        "NARFI_RULER__ALERTMANAGER_URL": "http://me:s3cret@one:9093/a,http://two:9093",
        "NARFI_RULER__ALERTMANAGER_CLIENT__CREDENTIALS": "s3cret",
    }
    settings = load_settings(None, variables, {})
    shown = settings.model_dump(mode="json")
    assert "s3cret" not in str(shown)
    assert shown["catalog"]["url"] == "postgresql://me@host/db"
    assert shown["storage"]["url"] == "s3://bucket/prefix"
    assert shown["ruler"]["alertmanager_url"] == ["http://me@one:9093/a", "http://two:9093"]
    assert settings.catalog.url == variables["NARFI_CATALOG__URL"], "used as it is"
    for name, url in (
        ("NARFI_CATALOG__URL", "mysql://me:s3cret@host/db"),
        ("NARFI_STORAGE__URL", "s3://key:s3cret@bucket/prefix"),
    ):
        with pytest.raises(SettingsError) as found:
            load_settings(None, {name: url}, {})
        assert name in found.value.message
        assert "s3cret" not in found.value.message


def test_blocks_have_the_format_that_writers_use() -> None:
    assert load_settings(None, {}, {}).ingester.block_format == FORMAT_VERSION
