"""Which entries are taken? Limits checked on whole columns; Python only for what is refused.

Order and texts follow reference/ingest-rules.md §2. The result holds the accepted entries and says
whether anything was left out or changed (then the journal stores the accepted rest).
"""

from dataclasses import dataclass, replace

import numpy as np

from ingester.accepted import Accepted
from ingester.backfill import refuse_reserved
from ingester.cost import Sums, metadata_bytes, sums_of
from ingester.errors import BodyTooLargeError
from ingester.metadata_names import normalise_names
from ingester.refusals import Refusals, rfc3339_seconds
from ingester.streams import ResolvedStream, StreamResolver
from narfi.core.columns import I64, Mask, Spans
from narfi.core.limits import Limits
from narfi.core.wire.push import DecodedPush, Pairs

MAX_REPORTED = 1000
"""Refused entries, or streams, that get a message of their own in one push; the rest is only
counted."""


MAX_LABEL_TEXT_BYTES = 16 << 20
"""A longer label text refuses the request before it is parsed."""


def validate(
    push: DecodedPush,
    limits: Limits,
    now_ns: int,
    resolver: StreamResolver,
    refusals: Refusals,
    *,
    backfill: bool = False,
) -> Accepted:
    """Apply the limits; raises only when the whole request is refused (label text)."""
    longest = max(map(len, push.labels), default=0)
    if longest > MAX_LABEL_TEXT_BYTES:
        sizes = f"stream labels size {_rounded(longest)} exceeds limit of "
        limit = _rounded(MAX_LABEL_TEXT_BYTES)
        raise BodyTooLargeError(f"request body too large: {sizes}{limit}")
    streams = resolver.resolve(push.labels, limits)
    if not backfill:
        refuse_reserved(streams)
    as_pushed = push.pairs
    push, changed = _prepare(push, limits, refusals)
    bad = np.zeros(len(push), np.bool_)
    _refuse_streams(push, streams, bad, refusals)
    check, sums = _Check(push, streams, bad, refusals), sums_of(push)
    _check_times(check, sums, limits, now_ns)
    _check_lines(check, sums, limits)
    _check_metadata(check, as_pushed, limits)
    if bad.any():
        return Accepted(push, streams, whole=False).without(bad)
    return Accepted(push, streams, whole=not changed, known_sums=sums)


def _rounded(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _prepare(push: DecodedPush, limits: Limits, refusals: Refusals) -> tuple[DecodedPush, bool]:
    """Truncation, duplicate timestamps, metadata names; and whether a replay must see the result.

    Metadata names are normalised again on replay, so they do not count as a change.
    """
    changed = False
    if limits.max_line_size_truncate and limits.max_line_size:
        long = push.lines.length > limits.max_line_size
        if long.any():
            refusals.cut_lines += int(long.sum())
            over = push.lines.length[long].astype(np.int64) - limits.max_line_size
            refusals.cut_bytes += int(over.sum())
            push, changed = _truncated(push, limits, long), True
    if limits.increment_duplicate_timestamp:
        ts = _incremented(push)
        if not np.array_equal(ts, push.ts):
            push, changed = replace(push, ts=ts), True
    if len(push.pairs):
        push = replace(push, pairs=normalise_names(push.pairs))
    return push, changed


def _truncated(push: DecodedPush, limits: Limits, long: Mask) -> DecodedPush:
    mark = limits.max_line_size_truncate_identifier.encode()
    size = max(limits.max_line_size - len(mark), 0)
    lines = push.lines.to_list()
    for row in np.flatnonzero(long).tolist():
        lines[row] = (lines[row] or b"")[:size] + mark
    return replace(push, lines=Spans.of(lines))


def _incremented(push: DecodedPush) -> I64:
    """One ns behind the previous entry where two of a stream share a time but not the line."""
    ts = push.ts.copy()
    lines = push.lines
    for row in range(1, len(ts)):
        same_stream = push.stream[row] == push.stream[row - 1]
        if same_stream and push.ts[row] in (push.ts[row - 1], ts[row - 1]):
            a, b = (
                lines.data[lines.start[r] : lines.start[r] + lines.length[r]]
                for r in (row - 1, row)
            )
            if not np.array_equal(a, b):
                ts[row] = ts[row - 1] + 1
    return ts


def _refuse_streams(
    push: DecodedPush,
    streams: tuple[ResolvedStream, ...],
    bad: Mask,
    refusals: Refusals,
) -> None:
    if all(s.refusal is None for s in streams):
        return
    refused = np.array([s.refusal is not None for s in streams], np.bool_)
    bad |= refused[push.stream]
    entries = np.bincount(push.stream, minlength=len(streams))
    sizes = np.bincount(push.stream, push.lines.length, len(streams)).astype(np.int64)
    numbers = np.flatnonzero(refused & (entries > 0))
    for place, number in enumerate(numbers.tolist()):
        stream = streams[number]
        told = stream.refusal if place < MAX_REPORTED else None
        refusals.add(stream.reason, told, int(entries[number]), int(sizes[number]))


@dataclass(frozen=True, slots=True)
class _Check:
    """What the checks of entries share."""

    push: DecodedPush
    streams: tuple[ResolvedStream, ...]
    bad: Mask
    refusals: Refusals

    def refuse(
        self, failing: Mask, reason: str, message: str, counts: I64 | None = None, most: int = 0
    ) -> None:
        """Refuse entries; `message` is formatted with stream, ts, size and count `n` of each.

        With counts, those with the smallest ones are told first.
        """
        rows = np.flatnonzero(failing & ~self.bad)
        if counts is not None:
            rows = rows[np.argsort(counts[rows], kind="stable")]
        for row in rows[:MAX_REPORTED].tolist():
            text = message.format(
                stream=self.streams[self.push.stream[row]].text,
                time=rfc3339_seconds(int(self.push.ts[row])),
                size=int(self.push.lines.length[row]),
                n=0 if counts is None else int(counts[row]),
                most=most,
            )
            self.refusals.add(reason, text, 1, int(self.push.lines.length[row]))
        rest = rows[MAX_REPORTED:]
        if len(rest):
            size = int(self.push.lines.length[rest].sum(dtype=np.int64))
            self.refusals.add(reason, None, len(rest), size)
        self.bad[rows] = True


def _check_times(check: _Check, sums: Sums, limits: Limits, now_ns: int) -> None:
    ts = check.push.ts
    oldest = now_ns - limits.reject_old_samples_max_age_ns
    if limits.reject_old_samples and sums.oldest_ns < oldest:
        message = (
            "entry for stream '{stream}' has timestamp too old: {time}, oldest acceptable "
            f"timestamp is: {rfc3339_seconds(oldest)}"
        )
        check.refuse(ts < oldest, "greater_than_max_sample_age", message)
    newest = now_ns + limits.creation_grace_period_ns
    if sums.newest_ns > newest:
        message = "entry for stream '{stream}' has timestamp too new: {time}"
        check.refuse(ts > newest, "too_far_in_future", message)


def _check_lines(check: _Check, sums: Sums, limits: Limits) -> None:
    if 0 < limits.max_line_size < sums.longest_line:
        message = (
            f"max entry size '{limits.max_line_size}' bytes exceeded for stream '{{stream}}' "
            "while adding an entry with length '{size}' bytes"
        )
        too_long = check.push.lines.length > limits.max_line_size
        check.refuse(too_long, "line_too_long", message)


def _check_metadata(check: _Check, pairs: Pairs, limits: Limits) -> None:
    """`pairs` as they were pushed: empty values count too, and names by what they were."""
    if not len(pairs):
        return
    counts: I64 = np.bincount(pairs.row, minlength=len(check.push)).astype(np.int64)
    if not limits.allow_structured_metadata:
        message = (
            "stream '{stream}' includes structured metadata, but this feature is disallowed. "
            "Please see `limits_config.allow_structured_metadata` or contact your Loki "
            "administrator to enable it"
        )
        check.refuse(counts > 0, "disallowed_structured_metadata", message)
        return
    sizes = metadata_bytes(pairs, len(check.push))
    _refuse_counted(check, sizes, limits.max_structured_metadata_size, *_TOO_LARGE)
    _refuse_counted(check, counts, limits.max_structured_metadata_entries_count, *_TOO_MANY)


_TOO_LARGE = (
    "structured_metadata_too_large",
    "stream '{stream}' has structured metadata too large: '{n}' bytes, limit: '{most}' bytes. "
    "Please see `limits_config.max_structured_metadata_size` or contact your Loki administrator "
    "to increase it",
)
_TOO_MANY = (
    "structured_metadata_too_many",
    "stream '{stream}' has too many structured metadata labels: '{n}', limit: '{most}'. Please "
    "see `limits_config.max_structured_metadata_entries_count` or contact your Loki administrator "
    "to increase it",
)


def _refuse_counted(check: _Check, values: I64, most: int, reason: str, message: str) -> None:
    """Refuse entries whose count is above the limit, each message naming its own count."""
    if not most:
        return
    check.refuse(values > most, reason, message, values, most)
