"""Random lines that programs could have printed: one template, many values. Only these make shapes.

A group of lines is a template (JSON, logfmt or text with holes) and a *source* of values for every
hole; sources are pools of awkward texts or sequences (counters, times, ids). So the columns that
come out are of every type, and of texts that nearly have one.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from unittest import mock

from hypothesis import strategies as st

from storage.block.shapes import infer

Source = Callable[[int, Random], bytes]
"""The value of row n."""

NUMBERS = (
    b"0 1 -1 7 42 200 404 500 -5 007 010 00 -0 -0.0 0.0 1.5 1.50 1.25 0.25 -0.5 10.0 0.1 1e5 1E+3 "
    b"-1e-3 "
    b"3. .5 +1 999999999999999 1000000000000000 123456789012345678 999999999999999999 "
    b"-999999999999999999 1234567890123456789 9223372036854775807 -9223372036854775808 "
    b"12345678901234567890 0.000000000000000001 0.10000000000000001 1.7976931348623157e308 "
    b"100000000000000.1 -"
).split()
LITERALS = (
    b"0 1 -1 7 200 404 -0 -0.0 0.0 1.5 1.50 1.25 -0.5 10.0 1e5 1E+3 -1e-3 999999999999999 "
    b"1000000000000000 123456789012345678 9223372036854775807 12345678901234567890 true false null"
).split()
TIMES = [
    b"2023-11-14T22:13:20Z",
    b"2023-02-29T22:13:20Z",
    b"2024-02-29T22:13:20Z",
    b"2023-13-01T00:00:00Z",
    b"2023-11-31T00:00:00Z",
    b"2023-11-14T24:00:00Z",
    b"2023-11-14T23:59:60Z",
    b"0000-00-00T00:00:00Z",
    b"1969-12-31T23:59:59Z",
    b"1699-12-31T23:59:59Z",
    b"2251-01-01T00:00:00Z",
    b"2023/11-14T22:13:20Z",
    b"2023-11-14 22:13:20,123",
    b"2023-11-14 22:13:20.000001",
    b"1960-11-14 22:13:20.999999999",
    b"2023-11-14T22:13:20.5Z",
    b"2023-11-14T22:13:20+02:00",
    b"2023-11-14T22:13:20-0200",
    b"14/Nov/2023:22:13:20 +0000",
    b"29/Feb/2023:22:13:20 +0000",
    b"29/Feb/2000:22:13:20 +0000",
    b"29/Feb/1900:22:13:20 +0000",
    b"14/Nov/2023:22:13:20",
    b"14/nov/2023:22:13:20 +0000",
    b"14/Xyz/2023:22:13:20 +0000",
]
HEX = [
    b"deadbeef",
    b"DEADBEEF",
    b"deadBEEF",
    b"00000000",
    b"12345678",
    b"abcdefab",
    b"123e4567-e89b-12d3-a456-426614174000",
    b"00000000-0000-0000-0000-00000000000a",
    b"123e4567-e89b-12d3-a456-42661417400",
    b"0123456789abcdef0123456789abcdef",
    b"0xdeadbeef",
]
ADDRESSES = (
    b"10.0.0.1 10.0.0.7 192.168.255.255 0.0.0.0 255.255.255.255 1.2.3.256 01.2.3.4 1.2.3.04 "
    b"1.2.3 1.2.3.4.5 1..2.3 200.1.2.30 128.0.0.1 1.2.3."
).split()
WORDS = (
    (
        "GET POST error info warn level a b ab aa aab x y n5 true null 12ms 1.5s 3KB /a /a/b "
        "/api/v1/users/17 /api/v1/users/9/cart user-17 user_18 id:5 k=v err. err: :x . : - é 日本"
    )
    .encode()
    .split()
)
SPACED = [
    b"",
    b" ",
    b"a b",
    b"level=error x",
    b"12 34",
    b"GET /x 200",
    b"a  b",
    b"error",
    b"[x] {y}",
]
ESCAPES = [
    rb"\n",
    rb"a\nb",
    rb"c\nd",
    rb"\"q\"",
    rb"say \"hi\" now",
    rb"\\",
    rb"\\n",
    rb"\u0041",
    rb"\u0042bc",
    rb"\u00e9",
    rb"\ud83d\ude00",
    rb"\ud800",
    rb"\udc00x",
    rb"\/",
    rb"\b1234567",
    rb"\f1234567",
    rb"\u0000",
    rb"A",
    rb"a\tb",
    rb"hello\\again" + b"\nworld",
    b"tab\t\\n\x01\r",
    rb"it\'s",
    rb"\q",
]
RAW = [b"\xff\xfe", b"\x00", b"a\x01b", b"\xc3", b"\x80", b"\x7f", b"\t", b"caf\xc3\xa9"]
POOLS: dict[str, Sequence[bytes]] = {
    "numbers": NUMBERS,
    "times": TIMES,
    "hex": HEX,
    "addresses": ADDRESSES,
    "words": WORDS,
}


def _time(n: int, layout: str) -> bytes:
    day, second = n * 7 % 28 + 1, n * 13 % 60
    return layout.format(d=day, s=second, n=n % 1000).encode()


SEQUENCES: dict[str, Source] = {
    "counter": lambda n, r: b"%d" % n,
    "random": lambda n, r: b"%d" % r.randrange(-(10**6), 10**6),
    "large": lambda n, r: b"%d" % r.randrange(10 ** r.randrange(1, 20)),
    "digits": lambda n, r: b"%06d" % r.randrange(10**6),
    "price": lambda n, r: b"%.2f" % (r.randrange(-1000, 10**6) / 100),
    "trimmed": lambda n, r: repr(r.randrange(-1000, 10**6) / 8).encode(),
    "address": lambda n, r: ".".join(
        str(r.choice([0, 1, 9, 10, 99, 100, 255])) for _ in "1234"
    ).encode(),
    "uuid": lambda n, r: b"%08x-%04x" % (r.getrandbits(32), r.getrandbits(16)),
    "hash": lambda n, r: b"%032x" % r.getrandbits(128),
    "iso": lambda n, r: _time(n, "2023-11-{d:02}T22:13:{s:02}Z"),
    "iso_ms": lambda n, r: _time(n, "2023-11-{d:02} 22:13:{s:02}.{n:03}"),
    "iso_us": lambda n, r: _time(n, "1968-02-{d:02} 22:13:{s:02},{n:06}"),
    "iso_ns": lambda n, r: _time(n, "2024-02-{d:02}T22:13:{s:02}.{n:09}+01:00"),
    "clf": lambda n, r: _time(n, "{d:02}/Feb/2024:22:13:{s:02} +0000"),
    "named": lambda n, r: b"user-%d" % r.randrange(1000),
    "ms": lambda n, r: b"%dms" % r.randrange(1000),
    "path": lambda n, r: b"/api/v%d/users/%d" % (r.randrange(3), r.randrange(1000)),
    "query": lambda n, r: b"/a?x=%d&y=%x" % (r.randrange(100), r.randrange(100)),
    "pair": lambda n, r: b"%d.%d" % (r.randrange(50), r.randrange(50)),
    "as": lambda n, r: b"a" * r.randrange(5),
    "many": lambda n, r: b"w%s" % r.choice(b"abcdefghijklmnop".decode()).encode(),
}
SPACED_SEQUENCES: dict[str, Source] = {
    "sentence": lambda n, r: b"took %d ms for user %d" % (r.randrange(100), r.randrange(9)),
    "quoted_url": lambda n, r: b"GET /a/%d?b=c HTTP/1.1" % r.randrange(100),
}
ESCAPED_SEQUENCES: dict[str, Source] = {
    "newline": lambda n, r: rb"x%d\ny%d" % (r.randrange(50), r.randrange(50)),
    "unicode": lambda n, r: rb"\u%04x" % r.randrange(0x20, 0x3FF),
    "unicode_tail": lambda n, r: rb"\u00%02x%d" % (r.randrange(0x20, 0x7F), r.randrange(9)),
    "bell": lambda n, r: rb"\f%07x" % r.getrandbits(28),
    "inner": lambda n, r: rb"say \"%d\" now" % r.randrange(100),
}


def _pick(pool: Sequence[bytes]) -> Source:
    return lambda n, r: r.choice(pool)


def _some(pool: Sequence[bytes]) -> st.SearchStrategy[Source]:
    """Values out of a few of the pool."""
    return st.lists(st.sampled_from(list(pool)), min_size=1, max_size=4).map(_pick)


def _seq(*kinds: dict[str, Source]) -> st.SearchStrategy[Source]:
    return st.sampled_from([source for kind in kinds for source in kind.values()])


_BARE = st.one_of(
    st.sampled_from(list(POOLS)).flatmap(lambda name: _some(POOLS[name])),
    _seq(SEQUENCES),
    _some([*NUMBERS, *HEX, *WORDS]),
)
WORD_SOURCES = st.one_of(_BARE, _BARE, _some(RAW[4:] + WORDS))
STRING_SOURCES = st.one_of(
    _BARE,
    _BARE,
    _seq(SPACED_SEQUENCES, ESCAPED_SEQUENCES),
    _some([*SPACED, *WORDS]),
    _some(ESCAPES),
    _some([*ESCAPES, *WORDS, *SPACED]),
    _some([*RAW[:1], *RAW[3:5], RAW[-1], *WORDS]),
)
LITERAL_SOURCES = st.one_of(
    _some(LITERALS),
    st.sampled_from(
        [SEQUENCES[name] for name in ("counter", "random", "price", "trimmed", "large")]
    ),
    _some([b"true", b"false"]),
    _some([b"null", b"1", b"2"]),
)
ARRAY_SOURCES = _some(
    [b"[]", b"[1,2]", b'["a"]', b'["a","b"]', b'[{"x":1}]', b"[[1],[2]]", b"[ 1 ]"]
)
KEYS = st.sampled_from(
    [
        b"level", b"status", b"msg", b"dur", b"size", b"user_id", b"method", b"path", b"app",
        b"env",
        b"trace", b"user", b"id", b"x y", b"x_y", b"1st", b"dotted.name", "é".encode(), b"_entry",
        b"ts", b"row", b"stream", b"metadata", b"line", b"a", b"b", b"A", b"a.b", b"", rb"\u0061",
        rb"q\"q", rb"\ud83d", b"level_extracted", b"__error__",
    ]
)  # fmt: skip
LOGFMT_KEYS = st.sampled_from(
    [
        b"level", b"status", b"msg", b"dur", b"size", b"app", b"env", b"trace", b"x.y", b"x-y",
        b"x_y",
        b"1st", b"ts", b"row", b"stream", b"metadata", b"A", b"a", b"{k", b"k}", b"level_extracted",
        b",", b"\\", b"__error__",
    ]
)  # fmt: skip

Template = list[bytes | Source]
"""Constants and sources, in order."""


@st.composite
def _json_object(draw: st.DrawFn, depth: int) -> Template:
    gap = draw(st.sampled_from([b"", b"", b" "]))
    out: Template = [b"{" + gap]
    for k in range(draw(st.integers(0, 5 if depth == 0 else 2))):
        out.append((b"," + gap if k else b"") + b'"' + draw(KEYS) + b'":' + gap)
        kind = draw(st.integers(0, 9))
        if kind <= 4:
            out += [b'"', draw(STRING_SOURCES), b'"']
        elif kind <= 7:
            out.append(draw(LITERAL_SOURCES))
        elif kind == 8 or depth == 2:
            out.append(draw(ARRAY_SOURCES))
        else:
            out += draw(_json_object(depth + 1))
    out.append(gap + b"}")
    if depth == 0:
        out.append(draw(st.sampled_from([b"", b"", b"", b"", b" ", b"\n", b"\r", b"\t"])))
    return out


@st.composite
def _logfmt(draw: st.DrawFn) -> Template:
    separator = draw(st.sampled_from([b" ", b" ", b"  "]))
    out: Template = []
    for k in range(draw(st.integers(2, 6))):
        out.append((separator if k else b"") + draw(LOGFMT_KEYS) + b"=")
        if draw(st.booleans()):
            out.append(draw(WORD_SOURCES))
        elif draw(st.booleans()):
            out += [b'"', draw(STRING_SOURCES), b'"']
    return out


_BETWEEN = st.sampled_from(
    [b" ", b" ", b" ", b": ", b" [", b"] ", b",", b"=", b" (", b") ", b' "', b'" ', b"; ", b"  ",
     b"|", b" - ", b"://", b'"', b":", b". "]
)  # fmt: skip


@st.composite
def _text(draw: st.DrawFn) -> Template:
    out: Template = [draw(st.sampled_from([b"", b"", b"[", b'"', b"<", b"{", b" "]))]
    for _ in range(draw(st.integers(1, 8))):
        kind = draw(st.integers(0, 4))
        if kind <= 1:
            out.append(draw(WORD_SOURCES))
        elif kind == 2:
            out += [b'"', draw(STRING_SOURCES), b'"']
        else:
            out.append(draw(st.sampled_from(list(WORDS))))
        out.append(draw(_BETWEEN))
    if draw(st.integers(0, 9)) == 0:  # more words than a line has holes
        count = draw(st.integers(55, 70))
        word = draw(WORD_SOURCES)
        for _ in range(count):
            out += [word, draw(st.sampled_from([b" ", b" ", b'"']))]
    return out


TEMPLATES = st.one_of(_json_object(0), _json_object(0), _logfmt(), _text())
ODD_LINES = st.one_of(
    st.sampled_from(
        [b"", b"\x00", b" ", b"{}", b"{", b"[1,2]", b'"', b"a=1", b"\xff", b'{"a":1} x']
    ),
    st.binary(max_size=12),
)


def print_rows(template: Template, rows: int, seed: int) -> list[bytes]:
    """So many lines of a template."""
    random = Random(seed)
    return [
        b"".join(p if isinstance(p, bytes) else p(n, random) for p in template) for n in range(rows)
    ]


@st.composite
def similar_lines(draw: st.DrawFn, most: int = 20) -> list[bytes]:
    """Lines of one to three templates, mixed, some damaged, and others that are like nothing."""
    seed = draw(st.integers(0, 1 << 16))
    random = Random(seed)
    lines: list[bytes] = []
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        rows = draw(st.integers(1, most))
        lines += print_rows(draw(TEMPLATES), rows, seed)
    if draw(st.integers(0, 3)) == 0:
        lines += draw(st.lists(ODD_LINES, max_size=3))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = random.randrange(len(lines))
        lines[place] = damaged(lines[place], random)
    if draw(st.booleans()):
        random.shuffle(lines)
    return lines


def damaged(line: bytes, random: Random) -> bytes:
    """The line with one byte or run changed."""
    at = random.randrange(len(line) + 1)
    end = min(at + random.randrange(4), len(line))
    fresh = random.choice([b"", b"", b'"', b"{", b" ", b"\\", b"\x00", b"\xff", b"9", b"=", b"a"])
    return line[:at] + fresh + line[end:]


THRESHOLDS = st.sampled_from([None, (1, 8192, 4), (1, 2, 1), (2, 2, 4), (3, 8192, 1), (8, 8, 2)])
"""(FEW_WORDS, MAX_WORDS, WORDS_SHARE): small ones send few rows down the roads that many rows take.
None: as they are."""


@contextmanager
def thresholds(found: tuple[int, int, int] | None) -> Iterator[None]:
    """The encoder with other thresholds."""
    if found is None:
        yield
        return
    few, most, share = found
    with mock.patch.multiple(
        infer, FEW_WORDS=few, MAX_WORDS=most, WORDS_SHARE=share, SAMPLE_ROWS=8
    ):
        yield


def look_alikes() -> list[tuple[str, list[bytes]]]:
    """A dozen lines of each of some well-known kinds of logs, made here."""
    r = Random(7)
    ip = SEQUENCES["address"]

    def day(n: int) -> bytes:
        return b"%02d:%02d:%02d" % (n % 24, n * 7 % 60, n * 13 % 60)

    kinds: dict[str, Callable[[int], bytes]] = {
        "hdfs": lambda n: (
            b"0811%02d %06d %d INFO dfs.DataNode$PacketResponder: Responder %d for block blk_%d end"
            % (n % 9, n * 977 % 999999, 100 + n, n % 3, r.getrandbits(62) - (1 << 61))
        ),
        "apache": lambda n: (
            b"[Sun Dec %02d %s 2005] [%s] mod_jk child workerEnv in error state %d"
            % (n % 28 + 1, day(n), [b"error", b"notice"][n % 2], n % 9)
        ),
        "openssh": lambda n: (
            b"Dec 10 %s LabSZ sshd[%d]: Failed password for %s from %s port %d ssh2"
            % (
                day(n),
                24200 + n,
                [b"root", b"invalid user webmaster"][n % 2],
                ip(n, r),
                r.randrange(65536),
            )
        ),
        "zookeeper": lambda n: (
            b"2015-07-29 %s,%03d - WARN  [SendWorker:%d:QuorumCnxManager$SendWorker@%d] - Stop"
            % (day(n), n * 37 % 1000, r.getrandbits(40), n % 700)
        ),
        "bgl": lambda n: (
            b"- 11178385%02d 2005.06.03 R02-M1-N0-C:J%d-U11 2005-06-03-15.42.50.%06d RAS INFO"
            % (n, n % 17, r.randrange(10**6))
        ),
        "nginx": lambda n: (
            b'%s - - [%02d/Nov/2023:%s +0000] "GET /a/%d?q=%x HTTP/1.1" %d %d "-" "curl/7.%d"'
            % (ip(n, r), n % 28 + 1, day(n), n, n, [200, 404, 500][n % 3], n * 321, n % 9)
        ),
        "windows": lambda n: (
            b"2016-09-28 %s, Info                  CBS    Loaded v6.1.7601.%d with: C:\\x%d.dll"
            % (day(n), n, n)
        ),
        "json": lambda n: (
            b'{"ts":"2023-11-14T%sZ","level":"%s","dur":%d.%02d,"user":{"id":%d,"tags":[%d]},"ok":%s}'
            % (day(n), [b"info", b"warn"][n % 2], n, n % 100, n, n, [b"true", b"null"][n % 2])
        ),
        "logfmt": lambda n: (
            b'ts=2023-11-14T%sZ level=info msg="took %d ms" trace=%032x status=%d'
            % (day(n), n, r.getrandbits(128), [200, 500][n % 2])
        ),
    }
    return [(name, [make(n) for n in range(40)]) for name, make in kinds.items()]


def sprinkle(lines: Sequence[bytes], seed: int) -> list[bytes]:
    """The lines, of which some are damaged, doubled or swapped."""
    random = Random(seed)
    found = [damaged(line, random) if random.random() < 0.1 else line for line in lines]
    found += random.sample(found, len(found) // 8)
    random.shuffle(found)
    return list(itertools.islice(found, len(found)))
