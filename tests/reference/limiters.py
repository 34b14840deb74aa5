"""Limits of streams, judged entry by entry and stream by stream."""

from narfi.core.limits import Limits

Entry = tuple[str, int, int]
"""(label text of the stream, ts in ns, rated bytes)"""


class SlowOrdering:
    """The newest timestamp of each stream."""

    def __init__(self) -> None:
        self.newest: dict[str, int] = {}

    def behind(self, entries: list[Entry], window_ns: int) -> list[bool]:
        """Which entries are too far behind those before them."""
        found = []
        for text, ts, _ in entries:
            mark = self.newest.get(text)
            found.append(mark is not None and ts < mark - window_ns)
            self.newest[text] = ts if mark is None else max(mark, ts)
        return found


class SlowStreamLimits:
    """Streams with their tokens, of one tenant; no stream is idle for an hour."""

    def __init__(self) -> None:
        self.streams: dict[str, tuple[float, int]] = {}  # tokens, as of

    def refused(self, groups: list[tuple[str, int]], limits: Limits, now_ns: int) -> list[bool]:
        """Which (label text, bytes) groups are refused, in the order of the push."""
        return [self._refused(text, size, limits, now_ns) for text, size in groups]

    def _refused(self, text: str, size: int, limits: Limits, now_ns: int) -> bool:
        if text not in self.streams:
            if len(self.streams) >= limits.max_global_streams_per_user:
                return True
            self.streams[text] = (limits.per_stream_rate_limit_burst, now_ns)
        tokens, then = self.streams[text]
        gained = limits.per_stream_rate_limit * (now_ns - then) / 10**9
        tokens = min(limits.per_stream_rate_limit_burst, tokens + gained)
        fits = size <= tokens
        self.streams[text] = (tokens - size if fits else tokens, now_ns)
        return not fits
