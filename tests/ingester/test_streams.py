"""Which stream does a label text name? By hand, from ingest-rules.md §2 and §3.1."""

import pytest

from ingester.streams import ResolvedStream, StreamResolver, resolve
from narfi.core.limits import Limits

LIMITS = Limits()


def named(pairs: list[tuple[str, str]], limits: Limits) -> ResolvedStream:
    """The stream of these labels."""
    return resolve(tuple(pairs), limits)


def test_service_name_comes_from_the_first_label_of_the_list() -> None:
    limits = Limits(discover_service_name=("service", "app"))
    found = [named([("app", "a")], limits), named([("app", "a"), ("service", "s")], limits)]
    assert [stream.labels.get("service_name") for stream in found] == ["a", "s"]
    assert named([("x", "y")], limits).labels.get("service_name") == "unknown_service"
    given = named([("service_name", "mine"), ("app", "a")], limits)
    assert given.labels.get("service_name") == "mine"
    assert named([("x", "y")], Limits(discover_service_name=())).text == '{x="y"}'


def test_empty_values_are_left_out_and_names_sorted() -> None:
    plain = Limits(discover_service_name=())
    assert named([("b", "2"), ("empty", ""), ("a", "1")], plain).text == '{a="1", b="2"}'


@pytest.mark.parametrize(
    ("pairs", "limits", "reason"),
    [
        ([], {"discover_service_name": ()}, "missing_labels"),
        ([("a", "1"), ("b", "2")], {"max_label_names_per_series": 1}, "max_label_names_per_series"),
        ([("abc", "1")], {"max_label_name_length": 2}, "label_name_too_long"),
        ([("a", "éé")], {"max_label_value_length": 3}, "label_value_too_long"),
        ([("a", "1"), ("a", "2")], {}, "duplicate_label_names"),
    ],
)
def test_refusals(pairs: list[tuple[str, str]], limits: dict[str, object], reason: str) -> None:
    found = named(pairs, LIMITS.with_changes(**limits))
    assert found.reason == reason
    assert found.refusal


def test_the_added_service_name_does_not_count() -> None:
    assert named([("a", "1")], Limits(max_label_names_per_series=1)).refusal is None


def test_texts_are_remembered_within_bounds_and_for_the_limits_they_were_read_with() -> None:
    resolver = StreamResolver(max_texts=2)
    first = resolver.resolve([b'{a="1"}'], LIMITS)[0]
    assert resolver.resolve([b'{a="1"}'], LIMITS)[0] is first
    other = resolver.resolve([b'{a="1"}'], Limits(discover_service_name=()))[0]
    assert other.text == '{a="1"}'
    resolver.resolve([b'{a="2"}', b'{a="3"}', b'{a="4"}'], LIMITS)
    assert len(resolver._known) == 2


def test_levels_and_reserved_labels_are_noticed() -> None:
    assert named([("level", "warn"), ("severity", "x")], LIMITS).level == "warn"
    assert named([("__backfill__", "true")], LIMITS).reserved
    assert not named([("a", "1")], LIMITS).reserved
