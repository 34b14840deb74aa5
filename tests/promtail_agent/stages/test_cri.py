"""Is the quick way to a CRI line's time the slow one's equal, whatever the text?"""

from hypothesis import example, given
from hypothesis import strategies as st

from promtail_agent.stages.cri import cri_time_ns
from promtail_agent.times import parse_rfc3339_ns

DIGITS = st.text("0123456789", min_size=9, max_size=9)
ODD = st.text("0123456789+-_ .:TZz", min_size=25, max_size=32)
STAMPS = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S"))
USUAL = st.tuples(STAMPS, DIGITS, st.sampled_from(["Z", "z", "+02:00", ""])).map(
    lambda parts: f"{parts[0]}.{parts[1]}{parts[2]}"
)


@given(st.one_of(USUAL, ODD, st.text(max_size=35)))
@example("2025-10-09T08:00:00.+12345678Z")
@example("2025-10-09T08:00:00.1234_5678Z")
@example("2025-10-09T08:00:00.12345678 Z")
@example("2025-10-09T08:00:00+123456789Z")
@example("2025-13-09T08:00:00.123456789Z")
def test_quick_and_slow_agree(text: str) -> None:
    slow = parse_rfc3339_ns(text)
    if text.isascii():
        assert cri_time_ns(text.encode()) == slow
    else:
        assert cri_time_ns(text.encode()) is None or slow is not None
