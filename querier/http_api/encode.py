"""How is an answer written? Loki's JSON, key by key (reference/http-api.md §3.3, §3.4)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import orjson
from numpy.typing import NDArray

from narfi.core.units import format_sample
from querier.http_api.explain import explain_object
from querier.result import (
    Answer,
    LabelPairs,
    LogEntry,
    LogStream,
    MatrixResult,
    QueryStats,
    ScalarResult,
    Series,
    StreamsResult,
    VectorResult,
)

_HTML = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
_SEPARATORS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))


Apply = Callable[
    [Callable[[tuple[Series, ...]], bytes], Iterable[tuple[Series, ...]]], Iterable[bytes]
]
"""Who applies a function to each of many arguments, in order."""

RUN_POINTS = 1 << 13
"""Of series that are printed together: some milliseconds."""
MANY_POINTS = 1 << 16
"""Of an answer: printing them takes some 50 ms of Python."""

FEW_VALUES = 64
"""To print them costs less than to find equal ones."""


def encode_answer(answer: Answer, flags: Sequence[str] = ()) -> bytes:
    """The whole body of a query response; `flags` of the request are echoed in log answers."""
    return b"".join(answer_parts(answer, flags))


def answer_parts(answer: Answer, flags: Sequence[str] = (), apply: Apply = map) -> Iterator[bytes]:
    """As `encode_answer`, an entry, series or sample at a time.

    `apply`: who prints many points, run after run of series; as `map`.
    """
    result = answer.result
    stats = _dumps(stats_object(answer.stats))
    if answer.explanation is not None:
        stats += b',"explain":' + _dumps(explain_object(answer, answer.explanation))
    warnings = b""
    if answer.warnings:
        warnings = b',"warnings":' + _dumps(list(answer.warnings))
    if isinstance(result, StreamsResult):
        echo = b',"encodingFlags":' + _dumps(sorted(flags)) if flags else b""
        yield b'{"status":"success"' + warnings + b',"data":{"resultType":"streams"' + echo
        yield b',"result":['
        for number, stream in enumerate(result.streams):
            yield b"," if number else b""
            yield from _stream_parts(stream, categorized=result.categorized)
        yield b'],"stats":' + stats + b"}}\n"
        return
    yield b'{"status":"success","data":'
    yield from _metric_parts(result, apply)
    yield b'],"stats":' + stats + b"}" + warnings + b"}"


def _metric_parts(
    result: MatrixResult | VectorResult | ScalarResult, apply: Apply
) -> Iterator[bytes]:
    """The type and the values, without the end of their array."""
    match result:
        case MatrixResult():
            yield b'{"resultType":"matrix","result":['
            points = sum(len(series.times_ms) for series in result.series)
            printed = map if points < MANY_POINTS else apply
            for number, run in enumerate(printed(print_series, _runs(result.series))):
                yield b"," if number else b""
                yield run
        case VectorResult():
            yield b'{"resultType":"vector","result":['
            for number, sample in enumerate(result.samples):
                point = _point(result.time_ms, sample.value).encode()
                yield b"," if number else b""
                yield b'{"metric":' + _labels(sample.labels) + b',"value":' + point + b"}"
        case ScalarResult():
            point = _point(result.time_ms, result.value).encode()
            yield b'{"resultType":"scalar","result":' + point.removesuffix(b"]")


def _runs(series: Sequence[Series]) -> Iterator[tuple[Series, ...]]:
    """Of neighbours, with about so many points that they make a piece of an answer."""
    run: list[Series] = []
    points = 0
    for one in series:
        run.append(one)
        points += len(one.times_ms)
        if points >= RUN_POINTS:
            yield tuple(run)
            run, points = [], 0
    if run:
        yield tuple(run)


def print_series(run: Sequence[Series]) -> bytes:
    """Members of a matrix."""
    texts, parts, at = _values(np.concatenate([one.values for one in run])), list[bytes](), 0
    for series in run:
        end = at + len(series.times_ms)
        parts.append(_series(series, texts[at:end]))
        at = end
    return b",".join(parts)


def _dumps(value: object) -> bytes:
    return _safe(orjson.dumps(value))


def _safe(text: bytes) -> bytes:
    """Escapes that Go's encoder makes for HTML and JavaScript."""
    if b"<" in text or b">" in text or b"&" in text:
        for char, escaped in _HTML:
            text = text.replace(char, escaped)
    if b"\xe2\x80" in text:
        for char, escaped in _SEPARATORS:
            text = text.replace(char, escaped)
    return text


def _text(value: bytes) -> bytes:
    """A JSON string of bytes; what is not UTF-8 becomes U+FFFD, byte by byte."""
    try:
        return _safe(orjson.dumps(value.decode("utf-8")))
    except UnicodeDecodeError:
        shown = value.decode("utf-8", "surrogateescape")
        return _safe(
            orjson.dumps("".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in shown))
        )


def _labels(pairs: LabelPairs) -> bytes:
    """An object, printed at once where every text is UTF-8."""
    try:
        return _dumps(dict(pairs))
    except TypeError:
        return b"{" + b",".join(_name(n) + b":" + _name(v) for n, v in pairs) + b"}"


def _name(text: str) -> bytes:
    return _text(text.encode("utf-8", "surrogateescape"))


def encode_tail(
    streams: Sequence[LogStream],
    dropped: Sequence[tuple[int, LabelPairs]],
    flags: Sequence[str],
    *,
    categorized: bool,
    warnings: Sequence[str] = (),
) -> bytes:
    """One message of a tail; `warnings`, which Loki's messages do not have, of its history."""
    body = b'{"streams":[' + b",".join(_stream(s, categorized=categorized) for s in streams) + b"]"
    if dropped:
        entries = (b'{"timestamp":"%d","labels":' % ts + _labels(p) + b"}" for ts, p in dropped)
        body += b',"dropped_entries":[' + b",".join(entries) + b"]"
    if flags:
        body += b',"encodingFlags":' + _dumps(sorted(flags))
    if warnings:
        body += b',"warnings":' + _dumps(list(warnings))
    return body + b"}"


def _stream(stream: LogStream, *, categorized: bool) -> bytes:
    return b"".join(_stream_parts(stream, categorized=categorized))


def _stream_parts(stream: LogStream, *, categorized: bool) -> Iterator[bytes]:
    before = b'{"stream":' + _labels(stream.labels) + b',"values":['
    for entry in stream.entries:
        yield before + _entry(entry, categorized=categorized)
        before = b","
    yield (b"" if stream.entries else before) + b"]}"


def _entry(entry: LogEntry, *, categorized: bool) -> bytes:
    head = b'["%d",' % entry.ts_ns + _text(entry.line)
    if not categorized:
        return head + b"]"
    parts = []
    if entry.metadata:
        parts.append(b'"structuredMetadata":' + _labels(entry.metadata))
    if entry.parsed:
        parts.append(b'"parsed":' + _labels(entry.parsed))
    return head + b",{" + b",".join(parts) + b"}]"


def _series(series: Series, values: Sequence[str]) -> bytes:
    times = map(_time, series.times_ms.tolist())
    points = ",".join([f'[{time},"{value}"]' for time, value in zip(times, values, strict=True)])
    return b'{"metric":' + _labels(series.labels) + b',"values":[' + points.encode() + b"]}"


def _values(values: NDArray[np.float64]) -> list[str]:
    """Each value as text; one that is there often is printed once, told apart by its bits."""
    if len(values) < FEW_VALUES:
        return [format_sample(value) for value in values.tolist()]
    bits, where = np.unique(np.ascontiguousarray(values).view(np.int64), return_inverse=True)
    texts = [format_sample(value) for value in bits.view(np.float64).tolist()]
    return [texts[place] for place in where.tolist()]


def _point(time_ms: int, value: float) -> str:
    return f'[{_time(time_ms)},"{format_sample(value)}"]'


@lru_cache(maxsize=1 << 14)  # all series of an answer have the times of its steps
def _time(time_ms: int) -> str:
    """Seconds, with as many decimals as milliseconds need."""
    sign = "-" if time_ms < 0 else ""
    seconds, rest = divmod(abs(time_ms), 1000)
    return f"{sign}{seconds}.{rest:03d}".rstrip("0") if rest else f"{sign}{seconds}"


def encode_list(values: Iterable[str]) -> bytes:
    """Names or values; `data` is left out when there are none."""
    found = list(values)
    if not found:
        return b'{"status":"success"}'
    return b'{"status":"success","data":' + _dumps(found) + b"}"


def series_parts(series: Iterable[LabelPairs]) -> Iterator[bytes]:
    """Label sets, one at a time."""
    yield b'{"status":"success","data":['
    for number, pairs in enumerate(series):
        yield b"," * (number > 0) + _labels(pairs)
    yield b"]}"


def stats_object(stats: QueryStats) -> dict[str, object]:
    """All keys that clients may look for; what we do not have is 0."""
    seconds = max(stats.exec_time_s, 1e-9)
    cache = dict.fromkeys(
        (
            "entriesFound",
            "entriesRequested",
            "entriesStored",
            "bytesReceived",
            "bytesSent",
            "requests",
            "downloadTime",
            "queryLengthServed",
        ),
        0,
    )
    names = "chunk index result statsResult volumeResult seriesResult labelResult"
    caches = [*names.split(), "instantMetricResult", "logResult", "taskResult"]
    return {
        "summary": {
            "bytesProcessedPerSecond": int(stats.bytes_scanned / seconds),
            "linesProcessedPerSecond": int(stats.lines_scanned / seconds),
            "totalBytesProcessed": stats.bytes_scanned,
            "totalLinesProcessed": stats.lines_scanned,
            "execTime": stats.exec_time_s,
            "queueTime": stats.queue_time_s,
            "subqueries": 0,
            "totalEntriesReturned": stats.entries_returned,
            "splits": 1,
            "shards": 1,
            "totalPostFilterLines": stats.lines_after_filter,
            "totalStructuredMetadataBytesProcessed": stats.metadata_bytes,
        },
        "querier": {"store": _store(stats), "querierExecTime": stats.exec_time_s},
        "ingester": {
            "totalReached": 1,
            "totalChunksMatched": 0,
            "totalBatches": 0,
            "totalLinesSent": 0,
            "store": _store(QueryStats()),
        },
        "cache": dict.fromkeys(caches, cache),
        "index": {
            "totalChunks": stats.row_groups,
            "postFilterChunks": stats.row_groups,
            "shardsDuration": 0,
            "usedBloomFilters": False,
            "totalStreams": stats.streams,
            "chunkRefsLookupTime": 0.0,
            "bloomFilterTime": 0.0,
        },
    }


def _store(stats: QueryStats) -> dict[str, object]:
    names = (
        "prePredicateDecompressedRows prePredicateDecompressedBytes "
        "prePredicateDecompressedStructuredMetadataBytes postPredicateRows "
        "postPredicateDecompressedBytes postPredicateStructuredMetadataBytes postFilterRows "
        "pagesScanned pagesDownloaded pagesDownloadedBytes pageBatches totalRowsAvailable "
        "totalPageDownloadTime wireBytesTransferred"
    )
    return {
        "totalChunksRef": stats.row_groups,
        "totalChunksDownloaded": stats.row_groups,
        "chunksDownloadTime": 0,
        "queryReferencedStructuredMetadata": False,
        "queryUsedV2Engine": False,
        "chunk": {
            "headChunkBytes": stats.head_bytes,
            "headChunkLines": stats.head_lines,
            "decompressedBytes": stats.bytes_scanned,
            "decompressedLines": stats.lines_scanned,
            "compressedBytes": 0,
            "totalDuplicates": 0,
            "postFilterLines": stats.lines_after_filter,
            "headChunkStructuredMetadataBytes": 0,
            "decompressedStructuredMetadataBytes": stats.metadata_bytes,
        },
        "chunkRefsFetchTime": 0,
        "congestionControlLatency": 0,
        "pipelineWrapperFilteredLines": 0,
        "dataobj": dict.fromkeys(names.split(), 0),
    }
