"""Is a command line read as Go's flag package reads it?"""

import pytest

from narfi.cli.agent_flags import FLAGS, WITHOUT_EFFECT, given_keys
from narfi.cli.go_flags import FlagError, HelpAsked, parse_flags, usage


def values(*arguments: str) -> dict[str, object]:
    """The flags of a command line that has nothing else."""
    found = parse_flags(arguments, FLAGS)
    assert found.rest == []
    return found.values


BOOLEANS = sorted(name for name, flag in FLAGS.items() if flag.kind == "bool")


@pytest.mark.parametrize("name", BOOLEANS)
def test_every_boolean_takes_every_form(name: str) -> None:
    for dashes in ("-", "--"):
        assert values(f"{dashes}{name}") == {name: True}
        for text in ("1", "t", "T", "true", "TRUE", "True"):
            assert values(f"{dashes}{name}={text}") == {name: True}
        for text in ("0", "f", "F", "false", "FALSE", "False"):
            assert values(f"{dashes}{name}={text}") == {name: False}


@pytest.mark.parametrize("name", sorted(set(FLAGS) - set(BOOLEANS)))
def test_every_other_flag_takes_both_forms(name: str) -> None:
    samples = {"int": ("7", 7), "float": ("2.5", 2.5), "labels": ("a=b", {"a": "b"})}
    text, expected = samples.get(
        FLAGS[name].kind, ("1s" if FLAGS[name].kind != "size" else "1kb", "")
    )
    for dashes in ("-", "--"):
        (found,) = values(f"{dashes}{name}={text}").values()
        assert found == (expected or text)
        (found,) = values(f"{dashes}{name}", text).values()
        assert found == (expected or text)


def test_a_boolean_never_takes_the_next_word() -> None:
    found = parse_flags(["-dry-run", "false", "-config.file=x"], FLAGS)
    assert found.values == {"dry-run": True}
    assert found.rest == ["false", "-config.file=x"]


def test_the_last_one_counts() -> None:
    assert values("-dry-run", "-dry-run=false", "-log.level=info", "--log.level", "warn") == {
        "dry-run": False,
        "log.level": "warn",
    }


def test_where_flags_end() -> None:
    for end in ("--", "-", "word"):
        found = parse_flags(["-stdin", end, "-inspect"], FLAGS)
        assert found.values == {"stdin": True}
        assert found.rest == ([] if end == "--" else [end]) + ["-inspect"]


def test_values_may_look_like_anything() -> None:
    assert values("-config.file", "-x") == {"config.file": "-x"}
    assert values("-config.file=") == {"config.file": ""}
    assert values("-client.url=http://x/?a=b") == {"client.url": "http://x/?a=b"}
    assert values("-client.external-labels=a=b, c=d=e,f=") == {
        "client.external-labels": {"a": "b", "c": "d=e", "f": ""}
    }
    assert values("-client.external-labels=") == {"client.external-labels": {}}
    assert values("-client.batch-size-bytes=0x100") == {"client.batch-size-bytes": 256}
    assert values("-client.batch-size-bytes=010") == {"client.batch-size-bytes": 8}
    assert values("-client.batch-size-bytes=1_000") == {"client.batch-size-bytes": 1000}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-x"], "flag provided but not defined: -x"),
        (["--x=1"], "flag provided but not defined: -x"),
        (["-dry-run", "-config.fil=a"], "flag provided but not defined: -config.fil"),
        (["-Stdin"], "flag provided but not defined: -Stdin"),
        (["-config.file"], "flag needs an argument: -config.file"),
        (["---stdin"], "bad flag syntax: ---stdin"),
        (["-=x"], "bad flag syntax: -=x"),
        (["-stdin=yes"], 'invalid boolean value "yes" for -stdin: parse error'),
        (["-stdin="], 'invalid boolean value "" for -stdin: parse error'),
        (["-max-streams=a"], 'invalid value "a" for flag -max-streams: parse error'),
        (["-client.timeout", "5"], 'invalid value "5" for flag -client.timeout: parse error'),
        (
            ["-client.external-labels=a"],
            'invalid value "a" for flag -client.external-labels: parse error',
        ),
    ],
)
def test_what_is_wrong_is_told_in_gos_words(arguments: list[str], told: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse_flags(arguments, FLAGS)
    assert str(caught.value) == told


@pytest.mark.parametrize("word", ["-h", "-help", "--help"])
def test_help_lists_every_flag(word: str) -> None:
    with pytest.raises(HelpAsked):
        parse_flags(["-stdin", word], FLAGS)
    text = usage("narfi agent", FLAGS)
    assert all(f"  --{name}" in text for name in FLAGS)


DOCUMENTED = """
print-config-stderr log-config-reverse-order dry-run check-syntax config.file config.expand-env
inspect version stdin client.url client.batch-wait client.batch-size-bytes client.max-retries
client.min-backoff client.max-backoff client.timeout client.external-labels client.tenant-id
client.drop-rate-limited-batches positions.file positions.sync-period positions.ignore-invalid-yaml
target.sync-period file-watch.min_poll_frequency file-watch.max_poll_frequency limit.readline-rate
limit.readline-burst limit.readline-rate-enabled limit.readline-rate-drop max-streams max-line-size
max-line-size-truncate log.level log.format server.disable server.profiling_enabled
server.enable-runtime-reload server.http-listen-address server.http-listen-port server.path-prefix
server.grpc-listen-address server.grpc-listen-port server.register-instrumentation
server.graceful-shutdown-timeout server.http-read-timeout server.http-write-timeout
server.http-idle-timeout server.grpc-max-recv-msg-size-bytes server.grpc-max-send-msg-size-bytes
server.grpc-max-concurrent-streams server.log-source-ips-enabled server.http-tls-cert-path
"""


@pytest.mark.parametrize("name", DOCUMENTED.split())
def test_promtails_flags_are_there(name: str) -> None:
    assert name in FLAGS


def test_what_a_flag_stands_for() -> None:
    found = given_keys(
        values(
            "-positions.file=/p",
            "-server.http-listen-port=3101",
            "-client.url=http://x/",
            "-client.max-retries=3",
            "-client.external-labels=a=b",
            "-server.log-source-ips-enabled",
        )
    )
    assert found.overrides == {
        ("positions", "filename"): "/p",
        ("server", "http_listen_port"): 3101,
    }
    assert found.client == {("url",): "http://x/", ("backoff_config", "max_retries"): 3}
    assert found.external_labels == {"a": "b"}
    assert "server.log-source-ips-enabled" in WITHOUT_EFFECT
