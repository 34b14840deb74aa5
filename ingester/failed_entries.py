"""How does the answer name entries that a stream refused? Loki's frame of lines (§5.1, §5.2)."""

from collections.abc import Sequence

from ingester.refusals import rfc3339_seconds
from narfi.core.tenant import TenantId

MAX_REPORTED = 10
"""Failed entries named in the answer (Loki's max_returned_stream_errors)."""


def failed_entries_text(
    tenant: TenantId, stream: str, ts: Sequence[int], reasons: Sequence[str], total: int
) -> str:
    """One line per failed entry, at most ten, and how many of the stream's failed."""
    lines = [
        f"entry with timestamp {_shown(value)} +0000 UTC ignored, reason: '{reason}',\n"
        for value, reason in zip(ts[:MAX_REPORTED], reasons[:MAX_REPORTED], strict=True)
    ]
    end = f"user '{tenant}', total ignored: {len(ts)} out of {total} for stream: {stream}"
    return "".join(lines) + end


def _shown(ts_ns: int) -> str:
    plain = rfc3339_seconds(ts_ns)[:-1].replace("T", " ")
    fraction = f"{ts_ns % 10**9:09d}".rstrip("0")
    return f"{plain}.{fraction}" if fraction else plain
