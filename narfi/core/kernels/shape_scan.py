"""Where are the holes of a line? What a program prints anew each time, between what it repeats.

Three ways to cut a line: JSON (a hole per scalar value; an array is one hole), logfmt (a hole per
value) and text (a hole per word; what stands in double quotes is one word). `fine` cuts a single
value into runs of letters and digits. Lines with equal constants and kinds of holes have equal
hashes. Invariant: holes ascend, do not overlap, and a constant byte lies between any two.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
B1 = NDArray[np.bool_]

PLAIN, JSON, LOGFMT, TEXT, FINE = 0, 1, 2, 3, 4
"""How a line was cut; PLAIN: not at all."""

H_STRING, H_LITERAL, H_ARRAY, H_VALUE, H_QUOTED, H_WORD, H_TAIL = 1, 2, 3, 4, 5, 6, 7
"""Kinds of holes: JSON string, number and the like, array; logfmt value, quoted; word, rest."""

MAX_HOLES = 64
"""More words of a line are one last hole."""
MAX_LINE = 1 << 16
"""Longer lines are not cut: they are rarely alike."""
MAX_DEPTH = 60

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


_DELIMITER = _delimiters()
_WORD = _fine_words()


@kernel()
def _digits(data: U8, at: int, count: int) -> bool:
    for k in range(count):
        if not 48 <= data[at + k] <= 57:
            return False
    return True


@kernel()
def _string_end(data: U8, at: int, end: int) -> int:
    """The closing quote of a JSON string whose text begins at `at`; -1 when it is not one."""
    while at < end:
        byte = data[at]
        if byte == 34:
            return at
        if byte < 32:
            return -1
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
def _literal_end(data: U8, at: int, end: int) -> int:
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
def _json_holes(data: U8, at: int, end: int, first: I64, size: I32, kind: U8) -> int:
    """The number of holes of one JSON object that fills the line; -1 when it is none."""
    holes = 0
    depth = 0
    objects = np.uint64(0)  # bit d: the container at depth d is an object
    array_from = 0  # depth and place of the outermost array
    array_at = 0
    state = 0  # 0 value, 1 behind a value, 2 key or }, 3 key, 4 value or ]
    while at < end:
        byte = data[at]
        if byte == 32 or byte == 9 or byte == 10 or byte == 13:
            at += 1
            continue
        if state == 2 or state == 3:
            if byte == 125 and state == 2:
                state = 5
            elif byte == 34:
                close = _string_end(data, at + 1, end)
                if close < 0:
                    return -1
                at = close + 1
                while at < end and (data[at] == 32 or data[at] == 9):
                    at += 1
                if at >= end or data[at] != 58:
                    return -1
                at += 1
                state = 0
                continue
            else:
                return -1
        elif state == 1:
            if byte == 44:
                state = 3 if (objects >> np.uint64(depth)) & np.uint64(1) else 0
                at += 1
                continue
            is_object = (objects >> np.uint64(depth)) & np.uint64(1)
            if (byte == 125 and is_object) or (byte == 93 and not is_object):
                state = 5
            else:
                return -1
        elif state == 4 and byte == 93:
            state = 5
        if state == 5:  # a container closes
            if array_from == depth:
                if holes >= MAX_HOLES:
                    return -1
                first[holes] = array_at
                size[holes] = at + 1 - array_at
                kind[holes] = H_ARRAY
                holes += 1
                array_from = 0
            depth -= 1
            at += 1
            if depth == 0:
                while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13):
                    at += 1
                return holes if at == end else -1
            state = 1
            continue
        # a value
        if byte == 123 or byte == 91:
            if depth >= MAX_DEPTH or (depth == 0 and byte == 91):
                return -1
            depth += 1
            if byte == 123:
                objects |= np.uint64(1) << np.uint64(depth)
                state = 2
            else:
                objects &= ~(np.uint64(1) << np.uint64(depth))
                state = 4
                if array_from == 0:
                    array_from = depth
                    array_at = at
            at += 1
            continue
        if depth == 0:
            return -1
        if byte == 34:
            close = _string_end(data, at + 1, end)
            if close < 0:
                return -1
            begin, stop, what = at + 1, close, H_STRING
            at = close + 1
        else:
            stop = _literal_end(data, at, end)
            if stop < 0:
                return -1
            begin, what = at, H_LITERAL
            at = stop
        if array_from == 0:
            if holes >= MAX_HOLES:
                return -1
            first[holes] = begin
            size[holes] = stop - begin
            kind[holes] = what
            holes += 1
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
            at += 1
            begin = at
            while at < end and data[at] != 34:
                if data[at] == 92:
                    at += 1
                at += 1
            if at >= end:
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
def _time_end(data: U8, at: int, end: int) -> int:
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
            close = at + 1
            while close < end and data[close] != 34:
                if data[close] == 92:
                    close += 1
                close += 1
            if close >= end:
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
        if _DELIMITER[byte]:
            at += 1
            continue
        if holes == MAX_HOLES - 1:
            break
        begin = at
        if 48 <= byte <= 57:
            at = _time_end(data, at, end)
        while at < end and not _DELIMITER[data[at]]:
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
        if not _WORD[data[at]]:
            at += 1
            continue
        if holes >= MAX_HOLES:
            return -1
        begin = at
        at += 1
        while at < end and (
            _WORD[data[at]]
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
    while at < end:
        h = (h ^ np.uint64(data[at])) * _PRIME
        at += 1
    return h ^ (h >> np.uint64(31))


@kernel()
def _has_digit(data: U8, at: int, end: int) -> bool:
    for k in range(at, end):
        if 48 <= data[k] <= 57:
            return True
    return False


@kernel("void(cu8, ci64, ci32, boolean, uint8[::1], uint64[::1], uint64[::1])")
def hash_lines(
    data: U8, start: I64, length: I32, fine: bool, cut: U8, skeleton: U64, words: U64
) -> None:
    """How each line is cut, the hash of its constants, and that of its words without digits."""
    first, size = np.empty(MAX_HOLES, np.int64), np.empty(MAX_HOLES, np.int32)
    kind = np.empty(MAX_HOLES, np.uint8)
    for i in range(start.shape[0]):
        at, end = start[i], start[i] + length[i]
        how, holes = _cut(data, at, end, fine, first, size, kind)
        cut[i] = how
        h = np.uint64(how + 1)
        w = np.uint64(1)
        for k in range(holes):
            h = _mix(h, data, at, first[k])
            h = (h ^ np.uint64(kind[k] + 256)) * _PRIME
            at = first[k] + size[k]
            if how == TEXT and kind[k] == H_WORD:
                if _has_digit(data, first[k], at):
                    w = (w ^ np.uint64(300)) * _PRIME
                else:
                    w = _mix(w, data, first[k], at)
        skeleton[i] = _mix(h, data, at, end) if how != PLAIN else np.uint64(0)
        words[i] = w


@kernel(
    "void(cu8, ci64, ci32, boolean, int64, int64[:, ::1], int32[:, ::1], uint8[::1], boolean[::1])"
)
def extract_holes(
    data: U8,
    start: I64,
    length: I32,
    fine: bool,
    wanted: int,
    out_start: I64,
    out_length: I32,
    out_kind: U8,
    fits: B1,
) -> None:
    """The holes of lines of one hash: `[hole, row]` spans; `out_kind` are those of the first line.

    `fits` is false where a line is not cut as the first one (equal hashes by chance): constants are
    compared byte by byte. `out_start` has `wanted` rows, the number of holes of the first line.
    """
    first, size = np.empty(MAX_HOLES, np.int64), np.empty(MAX_HOLES, np.int32)
    kind = np.empty(MAX_HOLES, np.uint8)
    model_cut = 0
    for i in range(start.shape[0]):
        at, end = start[i], start[i] + length[i]
        how, holes = _cut(data, at, end, fine, first, size, kind)
        if i == 0:
            model_cut = how
            for k in range(holes):
                out_kind[k] = kind[k]
        good = how == model_cut and holes == wanted
        there = start[0]
        if good:
            for k in range(wanted + 1):
                stop = first[k] if k < wanted else end
                if i == 0:
                    model_stop = stop
                elif k < wanted:
                    model_stop = out_start[k, 0]
                else:
                    model_stop = start[0] + length[0]
                if stop - at != model_stop - there or (k < wanted and kind[k] != out_kind[k]):
                    good = False
                    break
                for j in range(stop - at):
                    if data[at + j] != data[there + j]:
                        good = False
                        break
                if not good:
                    break
                if k < wanted:
                    at = stop + size[k]
                    there = model_stop + (size[k] if i == 0 else out_length[k, 0])
                    out_start[k, i] = stop
                    out_length[k, i] = size[k]
        fits[i] = good


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
