"""Where are the holes of a line? What a program prints anew each time, between what it repeats.

Three ways to cut a line: JSON (a hole per scalar value; an array is one hole), logfmt (a hole per
value) and text (a hole per word; what stands in double quotes is one word). `fine` cuts a single
value into runs of letters and digits. Lines with equal constants and kinds of holes have equal
hashes. Invariant: holes ascend, do not overlap, and a constant byte lies between any two.
"""

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
U16 = NDArray[np.uint16]
B1 = NDArray[np.bool_]

PLAIN, JSON, LOGFMT, TEXT, FINE = 0, 1, 2, 3, 4
"""How a line was cut; PLAIN: not at all."""

H_STRING, H_LITERAL, H_ARRAY, H_VALUE, H_QUOTED, H_WORD, H_TAIL = 1, 2, 3, 4, 5, 6, 7
"""Kinds of holes: JSON string, number and the like, array; logfmt value, quoted; word, rest."""

MAX_HOLES = 64
"""More words of a line are one last hole."""
MAX_LINE = (1 << 16) - 1
"""Longer lines are not cut: they are rarely alike."""
MAX_DEPTH = 60

# memcmp(a, b, size) -> 0 when equal; addresses as integers
_memcmp: Any = types.ExternalFunction("memcmp", types.int32(types.intp, types.intp, types.intp))

# memchr(a, byte, size) -> address or 0
_memchr: Any = types.ExternalFunction("memchr", types.intp(types.intp, types.int32, types.intp))

_PRIME = np.uint64(0x9E3779B97F4A7C15)


def _delimiters() -> "NDArray[np.bool_]":
    found = np.zeros(256, np.bool_)
    found[:33] = True
    for byte in b"\"'()[]{}<>,;=|\x7f":
        found[byte] = True
    return found


def _fine_words() -> "NDArray[np.bool_]":
    found = np.zeros(256, np.bool_)
    for byte in range(256):
        found[byte] = chr(byte).isalnum() if byte < 128 else True
    found[ord("_")] = True
    return found


DELIMITER = _delimiters()
"""Bytes that no word of a text holds."""
FINE_WORD = _fine_words()
"""Bytes that the runs of a value consist of."""


@kernel()
def _digits(data: U8, at: int, count: int) -> bool:
    for k in range(count):
        if not 48 <= data[at + k] <= 57:
            return False
    return True


@kernel()
def quote_end(data: U8, at: int, end: int) -> int:
    """The closing quote of a text that begins at `at`, passing over escaped ones; -1: none."""
    base = data.ctypes.data
    hit = _memchr(base + at, 34, end - at)
    if hit == 0:
        return -1
    close: int = hit - base
    if _memchr(base + at, 92, close - at) == 0:
        return close
    while at < end and data[at] != 34:
        if data[at] == 92:
            at += 1
        at += 1
    return at if at < end else -1


@kernel()
def string_end(data: U8, at: int, end: int) -> int:
    """The closing quote of a JSON string whose text begins at `at`; -1 when it is not one.

    Bytes that a string should not hold are let be: readers take them, and stamps tell of them.
    """
    base = data.ctypes.data
    hit = _memchr(base + at, 34, end - at)
    if hit == 0:
        return -1
    close: int = hit - base
    if _memchr(base + at, 92, close - at) == 0:
        return close
    while at < end:
        byte = data[at]
        if byte == 34:
            return at
        if byte == 92:
            at += 1
            if at >= end:
                return -1
            e = data[at]
            if e == 117:
                if at + 4 >= end:
                    return -1
                for k in range(1, 5):
                    h = data[at + k]
                    if not (48 <= h <= 57 or 65 <= h <= 70 or 97 <= h <= 102):
                        return -1
                at += 4
            elif not (
                e == 34
                or e == 92
                or e == 47
                or e == 98
                or e == 102
                or e == 110
                or e == 114
                or e == 116
            ):
                return -1
        at += 1
    return -1


@kernel()
def literal_end(data: U8, at: int, end: int) -> int:
    """Behind a JSON number, true, false or null that begins at `at`; -1 when there is none."""
    byte = data[at]
    if byte == 116 or byte == 110:
        if at + 4 > end:
            return -1
        a, b, c = data[at + 1], data[at + 2], data[at + 3]
        if byte == 116 and a == 114 and b == 117 and c == 101:
            return at + 4
        if byte == 110 and a == 117 and b == 108 and c == 108:
            return at + 4
        return -1
    if byte == 102:
        if at + 5 > end:
            return -1
        if (
            data[at + 1] == 97
            and data[at + 2] == 108
            and data[at + 3] == 115
            and data[at + 4] == 101
        ):
            return at + 5
        return -1
    if byte == 45:
        at += 1
    if at >= end or not 48 <= data[at] <= 57:
        return -1
    if data[at] == 48:
        at += 1
    else:
        while at < end and 48 <= data[at] <= 57:
            at += 1
    if at < end and data[at] == 46:
        at += 1
        if at >= end or not 48 <= data[at] <= 57:
            return -1
        while at < end and 48 <= data[at] <= 57:
            at += 1
    if at < end and (data[at] == 101 or data[at] == 69):
        at += 1
        if at < end and (data[at] == 43 or data[at] == 45):
            at += 1
        if at >= end or not 48 <= data[at] <= 57:
            return -1
        while at < end and 48 <= data[at] <= 57:
            at += 1
    return at


@kernel()
def array_end(data: U8, at: int, end: int, depth: int) -> int:
    """Behind the JSON array that begins at `at`, inside `depth` objects; -1 when it is none."""
    outer = depth
    objects = np.uint64(0)  # bit d: the container at depth d is an object
    state = 0  # 0 value, 1 behind a value, 2 key or }, 3 key, 4 value or ]
    while at < end:
        byte = data[at]
        if byte == 32 or byte == 9 or byte == 10 or byte == 13:
            at += 1
            continue
        inside = (objects >> np.uint64(depth)) & np.uint64(1) if depth > outer else np.uint64(0)
        closes = False
        if state == 2 or state == 3:
            if byte == 125 and state == 2:
                closes = True
            elif byte == 34:
                at = _key_end(data, at, end)
                if at < 0:
                    return -1
                state = 0
                continue
            else:
                return -1
        elif state == 1:
            if byte == 44:
                state = 3 if inside else 0
                at += 1
                continue
            if not ((byte == 125 and inside) or (byte == 93 and not inside)):
                return -1
            closes = True
        elif state == 4 and byte == 93:
            closes = True
        if closes:
            depth -= 1
            at += 1
            if depth == outer:
                return at
            state = 1
        elif byte == 123 or byte == 91:
            if depth >= MAX_DEPTH or (depth == outer and byte == 123):
                return -1
            depth += 1
            bit = np.uint64(1) << np.uint64(depth)
            objects = objects | bit if byte == 123 else objects & ~bit
            state = 2 if byte == 123 else 4
            at += 1
        else:
            if depth == outer:
                return -1
            at = _scalar_end(data, at, end)
            if at < 0:
                return -1
            state = 1
    return -1


@kernel()
def _key_end(data: U8, at: int, end: int) -> int:
    """Behind the colon of a key whose quote is at `at`; -1 when it is none."""
    close = string_end(data, at + 1, end)
    if close < 0:
        return -1
    at = close + 1
    while at < end and (data[at] == 32 or data[at] == 9):
        at += 1
    return at + 1 if at < end and data[at] == 58 else -1


@kernel()
def _scalar_end(data: U8, at: int, end: int) -> int:
    """Behind a JSON string or literal; -1 when there is none."""
    if data[at] != 34:
        return literal_end(data, at, end)
    close = string_end(data, at + 1, end)
    return close + 1 if close >= 0 else -1


@kernel()
def _json_holes(data: U8, at: int, end: int, first: I64, size: I32, kind: U8) -> int:
    """The number of holes of one JSON object that fills the line; -1 when it is none."""
    holes = 0
    depth = 0
    state = 0  # 0 value, 1 behind a value, 2 key or }, 3 key
    while at < end:
        byte = data[at]
        if byte == 32 or byte == 9 or byte == 10 or byte == 13:
            at += 1
            continue
        if (byte == 125 and (state == 2 or state == 1)) and depth > 0:
            depth -= 1
            at += 1
            if depth == 0:
                while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13):
                    at += 1
                return holes if at == end else -1
            state = 1
            continue
        if state == 2 or state == 3:
            if byte != 34:
                return -1
            at = _key_end(data, at, end)
            if at < 0:
                return -1
            state = 0
            continue
        if state == 1:
            if byte != 44:
                return -1
            state = 3
            at += 1
            continue
        # a value
        if byte == 123:
            if depth >= MAX_DEPTH:
                return -1
            depth += 1
            state = 2
            at += 1
            continue
        if depth == 0 or holes >= MAX_HOLES:
            return -1
        if byte == 34:
            stop = string_end(data, at + 1, end)
            begin, what, behind = at + 1, H_STRING, stop + 1
        elif byte == 91:
            stop = array_end(data, at, end, depth)
            begin, what, behind = at, H_ARRAY, stop
        else:
            stop = literal_end(data, at, end)
            begin, what, behind = at, H_LITERAL, stop
        if stop < 0:
            return -1
        first[holes] = begin
        size[holes] = stop - begin
        kind[holes] = what
        holes += 1
        at = behind
        state = 1
    return -1


@kernel()
def _logfmt_holes(data: U8, at: int, end: int, first: I64, size: I32, kind: U8) -> int:
    """The number of holes of a line of two or more `key=value` pairs and nothing else; else -1."""
    holes = pairs = 0
    while at < end:
        byte = data[at]
        if byte == 32:
            at += 1
            continue
        key = at
        while at < end and data[at] > 32 and data[at] != 61 and data[at] != 34 and data[at] < 127:
            at += 1
        if at >= end or data[at] != 61 or at == key:
            return -1
        at += 1
        pairs += 1
        if at >= end or data[at] == 32:
            continue
        if holes >= MAX_HOLES:
            return -1
        if data[at] == 34:
            begin = at + 1
            at = quote_end(data, begin, end)
            if at < 0:
                return -1
            first[holes] = begin
            size[holes] = at - begin
            kind[holes] = H_QUOTED
            holes += 1
            at += 1
            if at < end and data[at] != 32:
                return -1
            continue
        begin = at
        while at < end and data[at] > 32 and data[at] != 34:
            at += 1
        if at < end and data[at] != 32:
            return -1
        first[holes] = begin
        size[holes] = at - begin
        kind[holes] = H_VALUE
        holes += 1
    return holes if pairs >= 2 else -1


@kernel()
def time_end(data: U8, at: int, end: int) -> int:
    """Behind `dddd-dd-dd dd:dd:dd` and its fraction when that begins at `at`; else `at`."""
    if end - at < 19 or data[at + 4] != 45 or data[at + 7] != 45 or data[at + 10] != 32:
        return at
    if data[at + 13] != 58 or data[at + 16] != 58:
        return at
    if not (_digits(data, at, 4) and _digits(data, at + 5, 2) and _digits(data, at + 8, 2)):
        return at
    if not (_digits(data, at + 11, 2) and _digits(data, at + 14, 2) and _digits(data, at + 17, 2)):
        return at
    at += 19
    if at + 1 < end and (data[at] == 44 or data[at] == 46) and 48 <= data[at + 1] <= 57:
        at += 1
        while at < end and 48 <= data[at] <= 57:
            at += 1
    return at


@kernel()
def _text_holes(data: U8, at: int, end: int, first: I64, size: I32, kind: U8) -> int:
    """The number of holes of a line of words."""
    holes = 0
    while at < end:
        byte = data[at]
        if byte == 34:
            close = quote_end(data, at + 1, end)
            if close < 0:
                at += 1
                continue
            if holes == MAX_HOLES - 1:
                at += 1  # the rest does not touch a word in front of the quote
                break
            first[holes] = at + 1
            size[holes] = close - at - 1
            kind[holes] = H_QUOTED
            holes += 1
            at = close + 1
            continue
        if DELIMITER[byte]:
            at += 1
            continue
        if holes == MAX_HOLES - 1:
            break
        begin = at
        if 48 <= byte <= 57:
            at = time_end(data, at, end)
        while at < end and not DELIMITER[data[at]]:
            at += 1
        stop = at
        while stop > begin + 1 and (data[stop - 1] == 58 or data[stop - 1] == 46):
            stop -= 1
        first[holes] = begin
        size[holes] = stop - begin
        kind[holes] = H_WORD
        holes += 1
    if at < end:
        first[holes] = at
        size[holes] = end - at
        kind[holes] = H_TAIL
        holes += 1
    return holes


@kernel()
def _fine_holes(data: U8, at: int, end: int, first: I64, size: I32, kind: U8) -> int:
    """The number of runs of letters and digits (a point between digits joins); -1: too many."""
    holes = 0
    while at < end:
        if not FINE_WORD[data[at]]:
            at += 1
            continue
        if holes >= MAX_HOLES:
            return -1
        begin = at
        at += 1
        while at < end and (
            FINE_WORD[data[at]]
            or (
                data[at] == 46
                and at + 1 < end
                and 48 <= data[at - 1] <= 57
                and 48 <= data[at + 1] <= 57
            )
        ):
            at += 1
        first[holes] = begin
        size[holes] = at - begin
        kind[holes] = H_WORD
        holes += 1
    return holes


@kernel()
def _cut(
    data: U8, at: int, end: int, fine: bool, first: I64, size: I32, kind: U8
) -> tuple[int, int]:
    """(how the line was cut, number of holes)."""
    if end - at > MAX_LINE:
        return PLAIN, 0
    if fine:
        holes = _fine_holes(data, at, end, first, size, kind)
        return (FINE, holes) if holes >= 0 else (PLAIN, 0)
    if at < end and data[at] == 123:
        holes = _json_holes(data, at, end, first, size, kind)
        if holes >= 0:
            return JSON, holes
    holes = _logfmt_holes(data, at, end, first, size, kind)
    if holes >= 0:
        return LOGFMT, holes
    return TEXT, _text_holes(data, at, end, first, size, kind)


@kernel()
def _mix(h: np.uint64, data: U8, at: int, end: int) -> np.uint64:
    """The hash with some bytes added, eight at a time."""
    while at + 8 <= end:
        word = (
            np.uint64(data[at])
            | np.uint64(data[at + 1]) << np.uint64(8)
            | np.uint64(data[at + 2]) << np.uint64(16)
            | np.uint64(data[at + 3]) << np.uint64(24)
            | np.uint64(data[at + 4]) << np.uint64(32)
            | np.uint64(data[at + 5]) << np.uint64(40)
            | np.uint64(data[at + 6]) << np.uint64(48)
            | np.uint64(data[at + 7]) << np.uint64(56)
        )
        h = (h ^ word) * _PRIME
        h ^= h >> np.uint64(29)
        at += 8
    rest = end - at
    if rest > 0:  # one multiplication for all bytes that are left
        word = np.uint64(rest)
        if rest & 4:
            word = (
                word << np.uint64(32)
                | np.uint64(data[at]) << np.uint64(24)
                | np.uint64(data[at + 1]) << np.uint64(16)
                | np.uint64(data[at + 2]) << np.uint64(8)
                | np.uint64(data[at + 3])
            )
            at += 4
        if rest & 2:
            word = word << np.uint64(16) | np.uint64(data[at]) << np.uint64(8)
            word |= np.uint64(data[at + 1])
            at += 2
        if rest & 1:
            word = word << np.uint64(8) | np.uint64(data[at])
        h = (h ^ word) * _PRIME
    return h ^ (h >> np.uint64(31))


@kernel()
def _mix_word(w: np.uint64, data: U8, at: int, end: int) -> np.uint64:
    """The hash with a word added, by a few of its bytes; words with digits at an end are equal.

    Words only tell which lines may share a shape, so a word that is taken for another is no fault.
    """
    first, last, middle = data[at], data[end - 1], data[(at + end) >> 1]
    before = data[end - 2] if end - at > 1 else last
    if 48 <= first <= 57 or 48 <= last <= 57 or 48 <= before <= 57:
        return (w ^ np.uint64(1)) * _PRIME
    word = np.uint64(first) | np.uint64(middle) << np.uint64(8) | np.uint64(last) << np.uint64(16)
    w = (w ^ word ^ np.uint64(end - at) << np.uint64(24)) * _PRIME
    return w ^ (w >> np.uint64(29))


@kernel(
    "int64(cu8, ci64, ci32, ci64, boolean, uint8[::1], uint64[::1], uint64[::1], int64[::1],"
    " uint8[::1], uint16[::1], uint16[::1], uint8[::1])",
    allocates=True,
)
def cut_lines(
    data: U8,
    start: I64,
    length: I32,
    order: I64,
    fine: bool,
    cut: U8,
    skeleton: U64,
    words: U64,
    hole_from: I64,
    hole_count: U8,
    hole_start: U16,
    hole_length: U16,
    hole_kind: U8,
) -> int:
    """How each line is cut, the hash of its constants, that of its words without digits; its holes.

    Lines are visited in `order`. Holes of line i are `hole_count[i]` places from `hole_from[i]` of
    the last three arrays, starts relative to the line; those need `max_holes` places. Returns the
    number of holes.
    """
    first, size = np.empty(MAX_HOLES, np.int64), np.empty(MAX_HOLES, np.int32)
    kind = np.empty(MAX_HOLES, np.uint8)
    total = 0
    for n in range(order.shape[0]):
        i = order[n]
        at, end = start[i], start[i] + length[i]
        how, holes = _cut(data, at, end, fine, first, size, kind)
        cut[i] = how
        hole_from[i] = total
        hole_count[i] = holes
        h = np.uint64(how + 1)
        w = np.uint64(1)
        for k in range(holes):
            hole_start[total] = first[k] - start[i]
            hole_length[total] = size[k]
            hole_kind[total] = kind[k]
            total += 1
            if first[k] == at + 1:
                h = (h ^ np.uint64(data[at]) ^ np.uint64(kind[k]) << np.uint64(8)) * _PRIME
            else:
                h = _mix(h, data, at, first[k])
                h = (h ^ np.uint64(kind[k]) << np.uint64(8)) * _PRIME
            at = first[k] + size[k]
            if how == TEXT and kind[k] == H_WORD:
                w = _mix_word(w, data, first[k], at)
        skeleton[i] = _mix(h, data, at, end) if how != PLAIN else np.uint64(0)
        words[i] = w
    return total


@kernel(
    "void(cu8, ci64, ci32, ci64, cu8, ci64, cu8, cu16, cu16, cu8, int64[:, ::1], int32[:, ::1],"
    " boolean[::1])"
)
def gather_holes(
    data: U8,
    start: I64,
    length: I32,
    lines: I64,
    cut: U8,
    hole_from: I64,
    hole_count: U8,
    hole_start: U16,
    hole_length: U16,
    hole_kind: U8,
    out_start: I64,
    out_length: I32,
    fits: B1,
) -> None:
    """The holes of some lines as `[hole, line]` spans; `lines` are numbers of what was cut.

    The texts are those lines only, in order: line `lines[i]` is `data[start[i] : … + length[i]]`.
    `fits` is false where a line is not cut as the first one (equal hashes by chance): constants are
    compared byte by byte. The outputs have a row for each hole of the first line.
    """
    base = data.ctypes.data
    model = lines[0]
    wanted = out_start.shape[0]
    for i in range(lines.shape[0]):
        line = lines[i]
        from_here, from_model = hole_from[line], hole_from[model]
        good = cut[line] == cut[model] and hole_count[line] == wanted
        if not good:
            fits[i] = False
            continue
        here, there = start[i], start[0]
        at, model_at = np.int64(0), np.int64(0)
        for k in range(wanted + 1):
            if k < wanted:
                stop = np.int64(hole_start[from_here + k])
                model_stop = np.int64(hole_start[from_model + k])
                good = hole_kind[from_here + k] == hole_kind[from_model + k]
            else:
                stop, model_stop = np.int64(length[i]), np.int64(length[0])
            size = stop - at
            if not good or size != model_stop - model_at:
                good = False
                break
            if size > 0 and _memcmp(base + here + at, base + there + model_at, size) != 0:
                good = False
                break
            if k < wanted:
                out_start[k, i] = here + stop
                out_length[k, i] = hole_length[from_here + k]
                at = stop + hole_length[from_here + k]
                model_at = model_stop + hole_length[from_model + k]
        fits[i] = good


def max_holes(length: I32) -> int:
    """Places that `cut_lines` may need: a hole and a constant byte each, and one more a line."""
    return int(np.minimum(length // 2 + 1, MAX_HOLES).sum(dtype=np.int64))


@kernel("int64(cu64, int64[::1], int32[::1], int64[::1])")
def number_hashes(hashes: U64, table: I64, codes: I32, firsts: I64) -> int:
    """Number equal hashes alike, in order of first appearance; returns how many there are.

    `table` is a power-of-two sized array filled with -1, larger than twice the rows.
    """
    mask = np.uint64(table.shape[0] - 1)
    count = 0
    for i in range(hashes.shape[0]):
        h = hashes[i]
        slot = np.int64((h ^ (h >> np.uint64(32))) & mask)
        while True:
            code = table[slot]
            if code < 0:
                table[slot] = count
                firsts[count] = i
                codes[i] = count
                count += 1
                break
            if hashes[firsts[code]] == h:
                codes[i] = code
                break
            slot = (slot + 1) & np.int64(mask)
    return count
