"""Which entries are refused, with which texts? By hand, from ingest-rules.md §2."""

import pytest

from ingester.accepted import Accepted
from ingester.errors import BodyTooLargeError
from ingester.refusals import Refusals
from ingester.streams import StreamResolver
from ingester.validate import MAX_LABEL_TEXT_BYTES, MAX_REPORTED, validate
from narfi.core.limits import Limits
from narfi.core.wire.push import DecodedPush
from tests.ingester.pushed import NOW, Entry, S, lines, pushed

OPEN = Limits(discover_service_name=(), reject_old_samples=False)
TEXT = '{app="a"}'


def judged(push: DecodedPush, limits: Limits) -> tuple[Accepted, Refusals]:
    """What validation says of a push."""
    refusals = Refusals()
    return validate(push, limits, NOW, StreamResolver(), refusals), refusals


def test_a_push_within_all_limits_is_whole() -> None:
    accepted, refusals = judged(pushed({TEXT: lines(b"a", b"b")}), OPEN)
    assert accepted.whole
    assert refusals.error() is None


@pytest.mark.parametrize(
    ("limits", "entry", "reason", "message"),
    [
        (
            {"max_line_size": 3},
            (NOW, b"four", []),
            "line_too_long",
            "max entry size '3' bytes exceeded for stream '{app=\"a\"}' while adding an entry with "
            "length '4' bytes",
        ),
        (
            {"reject_old_samples": True, "reject_old_samples_max_age_ns": 10 * S},
            (NOW - 11 * S, b"", []),
            "greater_than_max_sample_age",
            "entry for stream '{app=\"a\"}' has timestamp too old: 2025-10-09T13:59:49Z, oldest "
            "acceptable timestamp is: 2025-10-09T13:59:50Z",
        ),
        (
            {"creation_grace_period_ns": 10 * S},
            (NOW + 11 * S, b"", []),
            "too_far_in_future",
            "entry for stream '{app=\"a\"}' has timestamp too new: 2025-10-09T14:00:11Z",
        ),
        (
            {"max_structured_metadata_size": 3},
            (NOW, b"", [("ab", "cd")]),
            "structured_metadata_too_large",
            "stream '{app=\"a\"}' has structured metadata too large: '4' bytes, limit: '3' bytes. "
            "Please see `limits_config.max_structured_metadata_size` or contact your Loki "
            "administrator to increase it",
        ),
        (
            {"max_structured_metadata_entries_count": 1},
            (NOW, b"", [("a", "1"), ("b", "2")]),
            "structured_metadata_too_many",
            "stream '{app=\"a\"}' has too many structured metadata labels: '2', limit: '1'. Please "
            "see `limits_config.max_structured_metadata_entries_count` or contact your Loki "
            "administrator to increase it",
        ),
    ],
)
def test_one_entry_is_refused_and_the_others_are_taken(
    limits: dict[str, object],
    entry: tuple[int, bytes, list[tuple[str, str]]],
    reason: str,
    message: str,
) -> None:
    push = pushed({TEXT: [(NOW, b"ok", []), entry]})
    accepted, refusals = judged(push, OPEN.with_changes(**limits))
    assert accepted.push.lines.to_list() == [b"ok"]
    assert not accepted.whole
    assert dict(refusals.entries) == {reason: 1}
    error = refusals.error()
    assert error is not None
    assert error.message == message


@pytest.mark.parametrize(
    ("pairs", "size", "count"),
    [
        ([("a....b", "c")], 7, 1),  # names count as they were pushed
        ([("a", "b"), ("c", "")], 3, 2),  # and so do empty values
        ([("a", "b"), ("detected_level", "error")], 2, 2),  # a level has no size
        ([("detected_level", "e" * 65)], 79, 1),  # but what is too long for one
        ([("detected_leveL", "error"), ("detected_levels", "e")], 35, 2),
    ],
)
def test_metadata_is_measured_as_it_was_pushed(
    pairs: list[tuple[str, str]], size: int, count: int
) -> None:
    push = pushed({TEXT: [(NOW, b"", pairs)]})
    at = OPEN.with_changes(
        max_structured_metadata_size=size, max_structured_metadata_entries_count=count
    )
    assert judged(push, at)[1].error() is None
    _, smaller = judged(push, at.with_changes(max_structured_metadata_size=size - 1))
    assert f"too large: '{size}' bytes" in str(smaller.error())
    if count > 1:
        _, fewer = judged(push, at.with_changes(max_structured_metadata_entries_count=count - 1))
        assert f"too many structured metadata labels: '{count}'" in str(fewer.error())


def test_edges_are_taken() -> None:
    limits = OPEN.with_changes(
        max_line_size=3, reject_old_samples=True, reject_old_samples_max_age_ns=10 * S
    )
    entries: list[Entry] = [
        (NOW - 10 * S, b"abc", []),
        (NOW + limits.creation_grace_period_ns, b"", []),
    ]
    assert judged(pushed({TEXT: entries}), limits)[0].whole


def test_long_lines_may_be_cut_and_are_then_kept_as_they_are() -> None:
    limits = OPEN.with_changes(
        max_line_size=5, max_line_size_truncate=True, max_line_size_truncate_identifier=".."
    )
    accepted, refusals = judged(pushed({TEXT: lines(b"abcdefgh", b"abc")}), limits)
    assert accepted.push.lines.to_list() == [b"abc..", b"abc"]
    assert refusals.error() is None
    assert not accepted.whole, "a replay would see the whole line"


def test_equal_times_may_be_moved_apart() -> None:
    limits = OPEN.with_changes(increment_duplicate_timestamp=True)
    entries: list[Entry] = [(NOW, b"a", []), (NOW, b"b", []), (NOW, b"c", []), (NOW, b"c", [])]
    accepted, _ = judged(pushed({TEXT: entries}), limits)
    assert accepted.push.ts.tolist() == [NOW, NOW + 1, NOW + 2, NOW]


def test_a_stream_with_bad_labels_is_left_out() -> None:
    limits = OPEN.with_changes(max_label_names_per_series=1)
    push = pushed({'{a="1", b="2"}': lines(b"12", b"3"), TEXT: lines(b"ok")})
    accepted, refusals = judged(push, limits)
    assert accepted.push.lines.to_list() == [b"ok"]
    assert dict(refusals.entries) == {"max_label_names_per_series": 2}
    assert dict(refusals.bytes) == {"max_label_names_per_series": 3}


def test_messages_are_bounded_and_counts_are_not() -> None:
    count = MAX_REPORTED + 50
    push = pushed({TEXT: [(NOW + k, b"%08d" % k, []) for k in range(count)]})
    _, refusals = judged(push, OPEN.with_changes(max_line_size=1))
    assert dict(refusals.entries) == {"line_too_long": count}
    assert sum(refusals.messages.values()) == MAX_REPORTED


def test_a_label_text_that_is_too_long_refuses_the_request() -> None:
    push = pushed({'{a="' + "x" * MAX_LABEL_TEXT_BYTES + '"}': lines(b"x")})
    with pytest.raises(BodyTooLargeError, match="stream labels size 17 MB exceeds limit of 17 MB"):
        judged(push, OPEN)
