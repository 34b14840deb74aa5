"""A body is what protobuf and snappy say, to the bit."""

import math
import struct

import snappy

from ruler.remote_write.request import body_of, series_field
from ruler.series import WrittenSample
from tests.ruler.remote_write.receiver import write_request


def test_protobuf_reads_what_was_written() -> None:
    samples = [
        WrittenSample((("__name__", "a:b"), ("host", "ü")), 1.5),
        WrittenSample((("__name__", "a:b"), ("host", "")), -0.0),
        WrittenSample((("__name__", "x"),), math.inf),
        WrittenSample((("__name__", "x"), ("é" * 90, "y" * 20_000)), 2.0**60),
    ]
    times = [0, 1_795_510_800_123, 1, 2**41]
    body = body_of(map(series_field, samples, times))
    request = write_request()()
    request.ParseFromString(snappy.decompress(body))
    found = [
        (tuple((one.name, one.value) for one in series.labels), series.samples[0].value)
        for series in request.timeseries
    ]
    assert found == [(sample.labels, sample.value) for sample in samples]
    assert [series.samples[0].timestamp for series in request.timeseries] == times


def test_an_end_is_the_one_nan_that_receivers_know() -> None:
    field = series_field(WrittenSample((("__name__", "x"),), None), 7)
    assert struct.pack("<Q", 0x7FF0000000000002) in field
    for value in math.nan, -math.nan, math.inf - math.inf:
        field = series_field(WrittenSample((), value), 7)
        assert struct.pack("<Q", 0x7FF8000000000001) in field, "as receivers know it"
