"""Does the answer name what a stream refused as Loki does?"""

from ingester.failed_entries import MAX_REPORTED, failed_entries_text
from narfi.core.tenant import TenantId

TENANT = TenantId("t")


def test_by_hand() -> None:
    ts = [1_760_018_400_000_000_000, 1_760_018_400_120_000_000]
    assert failed_entries_text(TENANT, '{app="a"}', ts, ["too fast", "too late"], 3) == (
        "entry with timestamp 2025-10-09 14:00:00 +0000 UTC ignored, reason: 'too fast',\n"
        "entry with timestamp 2025-10-09 14:00:00.12 +0000 UTC ignored, reason: 'too late',\n"
        "user 't', total ignored: 2 out of 3 for stream: {app=\"a\"}"
    )


def test_the_first_are_named_and_all_are_counted() -> None:
    ts = list(range(25))
    text = failed_entries_text(TENANT, "{}", ts, ["r"] * MAX_REPORTED, 30)
    assert text.count("\n") == MAX_REPORTED
    assert text.endswith("total ignored: 25 out of 30 for stream: {}")
