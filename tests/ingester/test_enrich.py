"""Which level has an entry, and which metadata? By hand, from ingest-rules.md §3."""

import pytest

from ingester.enrich import enrich, metadata_of, normalise_level, severity_level
from narfi.core.limits import Limits
from tests.ingester.pushed import NOW, Entry, accepted, pushed

LIMITS = Limits()
LEVEL = "detected_level"


def metadata(labels: str, entry: Entry, limits: Limits = LIMITS) -> dict[str, str]:
    """What an entry gets."""
    found = enrich(accepted(pushed({labels: [entry]}), limits), limits)
    return {name: text for _, name, text in found.items()}


@pytest.mark.parametrize(
    ("labels", "line", "pairs", "level"),
    [
        ("", b"nothing to see", [], "unknown"),
        ("", b"level=warn x", [], "warn"),
        ("", b'{"level":"ERR"}', [], "error"),
        ("", b"level=warn", [("level", "debug")], "debug"),  # metadata before the line
        (', level="info"', b"level=warn", [("level", "debug")], "info"),  # labels before both
        (', level="info"', b"", [(LEVEL, "FATAL")], "fatal"),  # given before all
        ("", b"level=warn", [("severity_number", "17")], "error"),
        ("", b"warn", [("severity_number", " 17")], "info"),  # not a number in Go
        ("", b"warn", [("severity_number", "1_7")], "info"),
        ("", b"warn", [("severity_number", "+17")], "error"),
        (', level="odd"', b"", [], "odd"),
    ],
)
def test_the_level(labels: str, line: bytes, pairs: list[tuple[str, str]], level: str) -> None:
    found = metadata(f'{{app="a"{labels}}}', (NOW, line, pairs))
    assert found == {**dict(pairs), LEVEL: level}


def test_levels_may_be_switched_off() -> None:
    off = Limits(discover_log_levels=False)
    assert metadata('{app="a"}', (NOW, b"level=warn", [("k", "v")]), off) == {"k": "v"}


def test_of_equal_names_the_last_counts() -> None:
    entries = [(NOW, b"", [("k", "1"), ("k", "2")]), (NOW + 1, b"", [("other", "3")])]
    push = pushed({'{app="a"}': entries})
    found = metadata_of(push.pairs, len(push))
    assert sorted(found.items()) == [(0, "k", "2"), (1, "other", "3")]
    assert sorted(metadata_of(pushed({'{app="a"}': [(NOW, b"", [])]}).pairs, 1).items()) == []


def test_values_become_text() -> None:
    assert metadata('{app="a"}', (NOW, b"", [("k", "a\ufffdb")]))["k"] == "a b"


def test_names_of_levels() -> None:
    assert [normalise_level(v) for v in ("WRN", "Information", "trc", "x")] == [
        "warn",
        "info",
        "trace",
        "x",
    ]
    numbers = ["-1", "0", "1", "4", "5", "9", "13", "17", "21", "24", "25", "x"]
    assert [severity_level(number) for number in numbers] == [
        "unknown",
        "unknown",
        "trace",
        "trace",
        "debug",
        "info",
        "warn",
        "error",
        "fatal",
        "fatal",
        "unknown",
        "info",
    ]
