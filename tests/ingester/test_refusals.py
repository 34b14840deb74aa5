"""Are refused entries counted by reason, and told once for each message?"""

from ingester.refusals import Refusals, rfc3339_seconds


def test_nothing_refused_is_no_error() -> None:
    assert Refusals().error() is None


def test_one_message_stands_alone() -> None:
    refusals = Refusals()
    refusals.add("long", "line too long", 1, 9)
    error = refusals.error()
    assert error is not None
    assert error.message == "line too long"


def test_messages_are_grouped() -> None:
    refusals = Refusals()
    for message in ("a", "b", "a"):
        refusals.add("r", message, 2, 10)
    refusals.add("silent", None, 5, 50)
    error = refusals.error()
    assert error is not None
    assert error.message == "2 errors like: a; 1 errors like: b"
    assert dict(refusals.entries) == {"r": 6, "silent": 5}
    assert dict(refusals.bytes) == {"r": 30, "silent": 50}


def test_times() -> None:
    assert rfc3339_seconds(1_760_018_400_999_999_999) == "2025-10-09T14:00:00Z"
    assert rfc3339_seconds(-1) == "1969-12-31T23:59:59Z"
    assert rfc3339_seconds(2**200) == "9999-12-31T23:59:59Z", "nothing that a client sends fails"
