"""JSON pushes that are cut, deep, wide, or made of values that cost more than their bytes."""

import gzip

from tests.hostile.inputs.bodies import JSON, OTLP, PUSH
from tests.hostile.server import MB, MOST_DECOMPRESSED
from tests.hostile.target import Input, at_once, hostile

WRONG = (400, 413, 422)
"""What is wrong may also be refused before it is read, as too dear."""
NOW = b"1700000000000000000"


def body(name: str, content: bytes, *allowed: int, path: str = PUSH) -> Input:
    """One push."""
    return hostile(name, allowed or WRONG, lambda target: target.send("POST", path, content, JSON))


def filled(start: bytes, part: bytes, end: bytes, size: int = 3 * MB) -> bytes:
    """As many parts as fit."""
    return start + part * ((size - len(start) - len(end)) // len(part)) + end


def packed(content: bytes) -> tuple[bytes, str, str]:
    """What is sent compressed."""
    return gzip.compress(content, 1), JSON, "Content-Encoding: gzip"


STREAM = b'{"streams":[{"stream":{"a":"b"},"values":['
ENTRY = b'["' + NOW + b'","x"],'
LISTS = filled(b"[", b"[],", b"[]]", MOST_DECOMPRESSED)
INPUTS = (
    body("deep lists", b"[" * (3 * MB)),
    body("deep objects", b'{"a":' * 600_000),
    body("deep in a label", b'{"streams":[{"stream":{"a":' + b"[" * MB + b"]" * MB + b"}}]}"),
    body("a string without an end", STREAM + b'["' + NOW + b'","' + b"x" * (3 * MB)),
    body("entries without an end", filled(STREAM, ENTRY, b"")),
    body("a wrong escape at the end", filled(STREAM, ENTRY, b'["' + NOW + b'","\\x"]]}]}')),
    body("bytes that are no UTF-8", filled(STREAM, b'["\xff","\xfe"],', b'["",""]]}]}')),
    body("halves of surrogates", filled(STREAM, b'["' + NOW + b'","\\ud800"],', b"[]]}]}")),
    body("a number of 3 MB", b'{"streams":' + b"1" * (3 * MB) + b"}"),
    body("a time of 3 MB", STREAM + b'["' + b"9" * (3 * MB) + b'","x"]]}]}'),
    body("empty lists", filled(b'{"streams":[', b"[],", b"[]]}")),
    body("empty entries", filled(STREAM, b"[],", b"[]]}]}")),
    body("empty streams", filled(b'{"streams":[', b"{},", b"{}]}"), *WRONG, 429),
    body("exponents", filled(b'{"streams":[', b"1e999,", b"1]}")),
    body("many nulls", filled(STREAM, b"null,", b"null]}]}"), *WRONG, 204),
    hostile("lists in gzip", WRONG, lambda target: target.send("POST", PUSH, *packed(LISTS))),
    hostile(
        "lists in gzip, 16 at once",
        (*WRONG, 503),
        at_once(16, lambda target: target.send("POST", PUSH, *packed(LISTS))),
    ),
    body("deep OTLP", b'{"resourceLogs":' + b"[" * (3 * MB), path=OTLP),
    body(
        "empty OTLP records",
        filled(b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[', b"{},", b"{}]}]}]}"),
        204,
        *WRONG,
        429,
        503,
        path=OTLP,
    ),
    body(
        "deep values of OTLP",
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":'
        + filled(b"", b'{"arrayValue":{"values":[', b""),
        path=OTLP,
    ),
)
