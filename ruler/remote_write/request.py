"""What is the body of a remote write? Protobuf `prometheus.WriteRequest` 1.0 under snappy.

A request is the `timeseries` fields of its samples one behind the other: a sample is encoded once,
when it is queued, and requests are put together of bytes. One time series a sample: a series may
come several times in a request.
"""

import math
import struct
from collections.abc import Iterable

import snappy

from narfi.core.wire.push_encode import varint
from ruler.series import WrittenSample

ENDED = struct.pack("<Q", 0x7FF0000000000002)
"""The NaN that says that a series has ended, as its eight bytes: no float, since one could lose
its bits."""
NOT_A_NUMBER = struct.pack("<Q", 0x7FF8000000000001)
"""The NaN that is a value, as its bytes: receivers tell it from `ENDED` by them."""
HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
    "User-Agent": "narfi",
}


def series_field(sample: WrittenSample, ts_ms: int) -> bytes:
    """A `timeseries` field of a request: labels sorted by name, one value."""
    body = b"".join(_field(1, _text(1, n) + _text(2, v)) for n, v in sorted(sample.labels))
    return _field(1, body + _field(2, b"\x09" + _bits(sample.value) + b"\x10" + varint(ts_ms)))


def _bits(value: float | None) -> bytes:
    if value is None:
        return ENDED
    return NOT_A_NUMBER if math.isnan(value) else struct.pack("<d", value)


def body_of(fields: Iterable[bytes]) -> bytes:
    """The request of these fields."""
    return bytes(snappy.compress(b"".join(fields)))


def _field(number: int, data: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + varint(len(data)) + data


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode("utf-8", "replace"))
