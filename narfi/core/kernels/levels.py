"""Which level does a line tell of? JSON members, logfmt pairs, then words (ingest-rules §3.2).

Level codes index `LEVELS`. Keys are spans in their order of preference.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.address import load8, load64, load_until, memchr
from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

LEVELS = ("unknown", "trace", "debug", "info", "warn", "error", "critical", "fatal")

_WORDS = np.frombuffer(
    b"trace\0\0\0debug\0\0\0info\0\0\0\0warn\0\0\0\0error\0\0\0criticalfatal\0\0\0"
    b"trc\0\0\0\0\0dbg\0\0\0\0\0inf\0\0\0\0\0wrn\0\0\0\0\0err\0\0\0\0\0warning\0",
    np.uint8,
).copy()
"""Words of eight bytes each, zero padded; `information` is longer and stands apart."""
_WORD_LEVELS = np.array([1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 4], np.int64)
_SCANNED = np.array([0, 1, 6, 5, 4, 11, 12, 3, 2], np.int64)
"""The words that the keyword scan looks for (no trc, dbg, inf, wrn)."""
_INFORMATION = np.frombuffer(b"information", np.uint8).copy()


@kernel()
def _lower(byte: int) -> int:
    return byte + 32 if 65 <= byte <= 90 else byte


@kernel()
def _is_word(data: U8, at: int, size: int, word: int) -> bool:
    for k in range(8):
        w = _WORDS[word * 8 + k]
        if k < size:
            if w == 0 or _lower(data[at + k]) != w:
                return False
        elif w != 0:
            return False
    return size <= 8


@kernel()
def _level_of(data: U8, at: int, size: int) -> int:
    """The level that a whole value names; 0 when unknown."""
    if size == 11:
        for k in range(11):
            if _lower(data[at + k]) != _INFORMATION[k]:
                return 0
        return 3
    if size < 3 or size > 8:
        return 0
    for word in range(13):
        if _is_word(data, at, size, word):
            return int(_WORD_LEVELS[word])
    return 0


def _table(text: bytes) -> "NDArray[np.bool_]":
    found = np.zeros(256, np.bool_)
    found[np.frombuffer(text, np.uint8)] = True
    return found


_LEFT = _table(b" \t\n[({\"'=|")
"""Bytes that may stand before a word."""
_RIGHT = _table(b" \t\n[({\"'=|])}:,!")
"""Bytes that may stand behind one."""
_FIRST = _table(b"tdfcewiTDFCEWI")
"""Bytes that a word of the scan begins with."""
_SIZES = np.array([5, 5, 4, 4, 5, 8, 5, 3, 3, 3, 3, 3, 7], np.int64)


_CLASS = np.zeros(256, np.uint8)
_CLASS[_LEFT] |= 1
_CLASS[_RIGHT] |= 2
_CLASS[_FIRST] |= 4
_WORD_SIZES = _SIZES[_SCANNED]
_WORD_BYTES = _WORDS.view(np.uint64)[_SCANNED]
_WORD_MASKS = np.array([(1 << 8 * size) - 1 for size in _WORD_SIZES.tolist()], np.uint64)
_LOWER_CASE = np.uint64(0x2020202020202020)
"""Of two bytes that this bit makes a lower-case letter both are that letter."""


CHUNK = 128
"""Places of a line that are marked at once."""
_ONES = np.uint64(0x0101010101010101)
_HIGHEST = np.uint64(0x8080808080808080)
_QUOTES, _BACKSLASHES = _ONES * np.uint64(34), _ONES * np.uint64(92)


@kernel()
def _first_marked(word: np.uint64) -> int:
    """The place of the first byte of a word whose highest bit is set; one is."""
    below = (word & (~word + np.uint64(1))) - np.uint64(1)
    return int(((below & _ONES) * _ONES) >> np.uint64(56)) - 1


@kernel()
def _mark(data: U8, begin: int, count: int, marks: U8) -> None:
    """Mark with 128 the places behind which a word of a level may begin, and some others.

    Nothing but comparisons, so that it is compiled to ones of sixteen bytes at once.
    """
    first = np.uintp(begin)
    for k in range(count):
        at = np.uintp(k)
        left, byte = data[first + at], data[first + at + np.uintp(1)] | np.uint8(32)
        bounds = (left <= np.uint8(40)) | (left == np.uint8(61)) | (left == np.uint8(91))
        begins = (byte >= np.uint8(99)) & (byte <= np.uint8(102))
        begins |= (byte == np.uint8(105)) | (byte == np.uint8(116)) | (byte == np.uint8(119))
        marks[at] = np.uint8((bounds | (left >= np.uint8(123))) & begins) << np.uint8(7)


@kernel()
def _word_at(at: int, stop: int) -> int:
    """The level of the word that stands at an address; 0 when none does."""
    found = load_until(at, stop) | _LOWER_CASE
    for word in range(9):
        if (found ^ _WORD_BYTES[word]) & _WORD_MASKS[word] == 0:
            behind = at + _WORD_SIZES[word]
            if behind == stop or (behind < stop and _CLASS[load8(behind)] & 2):
                return int(_WORD_LEVELS[_SCANNED[word]])
    return 0


@kernel()
def _scan_words(data: U8, begin: int, end: int, marks: U8) -> int:
    """The level of the first bounded word; 0 when there is none."""
    if begin >= end:
        return 0
    base = data.ctypes.data
    stop = base + end
    level = _word_at(base + begin, stop)
    while level == 0 and begin + 1 < end:
        count = min(end - 1 - begin, CHUNK)
        _mark(data, begin, count, marks)
        for k in range(8):
            marks[count + k] = 0
        k = 0
        while k < count:
            word = load64(marks.ctypes.data + k)
            if word == 0:
                k += 8
                continue
            k += _first_marked(word) + 1
            at = base + begin + k
            if _CLASS[load8(at - 1)] & 1:
                level = _word_at(at, stop)
                if level != 0:
                    return level
        begin += count
    return level


@kernel()
def _string_end(data: U8, at: int, end: int) -> int:
    """The place of the quote that closes the string whose content begins at `at`; -1 if none."""
    base = data.ctypes.data
    while at < end:
        while at + 8 <= end:
            word = load64(base + at)
            quotes, backslashes = word ^ _QUOTES, word ^ _BACKSLASHES
            found = (quotes - _ONES) & ~quotes | (backslashes - _ONES) & ~backslashes
            found &= _HIGHEST
            if found != 0:
                at += _first_marked(found)
                break
            at += 8
        if at >= end:
            break
        byte = load8(base + at)
        if byte == 34:
            return at
        at += 2 if byte == 92 else 1
    return -1


@kernel()
def _key_rank(
    data: U8, at: int, size: int, keys: U8, key_start: I64, key_length: I32, sizes: int, fold: bool
) -> int:
    """The place of a key in the list of preference; -1 when it is not in it.

    `sizes` has a bit for each length that a listed key has; the last bit is for all from 62 on.
    """
    if (sizes >> min(size, 62)) & 1 == 0:
        return -1
    for k in range(key_start.shape[0]):
        if key_length[k] != size:
            continue
        same = True
        for j in range(size):
            a, b = data[at + j], keys[key_start[k] + j]
            if fold:
                a, b = _lower(a), _lower(b)
            if a != b:
                same = False
                break
        if same:
            return k
    return -1


@kernel()
def _from_json(
    data: U8,
    begin: int,
    end: int,
    keys: U8,
    key_start: I64,
    key_length: I32,
    sizes: int,
    max_depth: int,
) -> int:
    """The level of the first listed member, in document order, down to `max_depth` objects."""
    depth = 0  # of objects
    deeper = 0  # brackets that are only skipped: arrays, and objects below max_depth
    at = begin
    expect_key = False
    while at < end:
        byte = data[at]
        if deeper > 0:
            if byte == 34:
                at = _string_end(data, at + 1, end)
                if at < 0:
                    return 0
            elif byte == 123 or byte == 91:
                deeper += 1
            elif byte == 125 or byte == 93:
                deeper -= 1
            at += 1
            continue
        if byte == 123:
            if max_depth > 0 and depth >= max_depth:
                deeper = 1
            else:
                depth += 1
                expect_key = True
        elif byte == 91:
            deeper = 1
        elif byte == 125:
            depth -= 1
            expect_key = False
            if depth <= 0:
                return 0
        elif byte == 44:
            expect_key = True
        elif byte == 34:
            close = _string_end(data, at + 1, end)
            if close < 0:
                return 0
            if expect_key:
                expect_key = False
                size = close - at - 1
                rank = _key_rank(data, at + 1, size, keys, key_start, key_length, sizes, False)
                if rank >= 0:
                    value = close + 1
                    while value < end and (data[value] <= 32 or data[value] == 58):
                        value += 1
                    if value < end and data[value] == 34:
                        stop = _string_end(data, value + 1, end)
                        if stop < 0:
                            return 0
                        return _level_of(data, value + 1, stop - value - 1)
            at = close
        at += 1
    return 0


@kernel()
def _from_logfmt(
    data: U8, begin: int, end: int, keys: U8, key_start: I64, key_length: I32, sizes: int
) -> int:
    """The level of the most preferred key before the first malformed pair."""
    best = key_start.shape[0]
    level = 0
    at = begin
    while at < end:
        while at < end and data[at] <= 32:
            at += 1
        key = at
        while at < end and data[at] > 32 and data[at] != 61 and data[at] != 34:
            at += 1
        size = at - key
        if at >= end:
            break
        if data[at] == 34 or (size == 0 and data[at] == 61):
            break
        if data[at] <= 32:
            continue  # a bare key
        at += 1
        value, stop = at, at
        if at < end and data[at] == 34:
            stop = _string_end(data, at + 1, end)
            if stop < 0:
                break
            value, at = at + 1, stop + 1
            if at < end and data[at] > 32:
                malformed = True
            else:
                malformed = False
        else:
            malformed = False
            while at < end and data[at] > 32:
                if data[at] == 61 or data[at] == 34:
                    malformed = True
                    break
                at += 1
            stop = at
        if malformed:
            break
        rank = _key_rank(data, key, size, keys, key_start, key_length, sizes, True)
        if 0 <= rank < best:
            best = rank
            level = _level_of(data, value, stop - value)
            if rank == 0:
                break
    return level


@kernel(
    "void(cu8, ci64, ci32, ci64, cu8, ci64, ci32, int64, uint8[::1])", early=True, allocates=True
)
def detect_levels(
    data: U8,
    start: I64,
    length: I32,
    rows: I64,
    keys: U8,
    key_start: I64,
    key_length: I32,
    max_depth: int,
    out: U8,
) -> None:
    """Fill `out[row]` with the level code of each of the given rows."""
    marks = np.empty(CHUNK + 8, np.uint8)
    sizes = 0
    for k in range(key_length.shape[0]):
        sizes |= 1 << min(int(key_length[k]), 62)
    for i in range(rows.shape[0]):
        row = rows[i]
        begin = start[row]
        end = begin + length[row]
        first, last = begin, end
        while first < last and data[first] <= 32:
            first += 1
        while last > first and data[last - 1] <= 32:
            last -= 1
        level = 0
        if last - first >= 2 and data[first] == 123 and data[last - 1] == 125:
            level = _from_json(data, first, last, keys, key_start, key_length, sizes, max_depth)
        else:
            here = data.ctypes.data + begin
            sign = memchr(here, 61, end - begin)
            if sign != 0 and memchr(here, 34, sign - here) == 0:  # else no pair is before a quote
                pair = begin + sign - here
                while pair > begin and data[pair - 1] > 32:
                    pair -= 1
                level = _from_logfmt(data, pair, end, keys, key_start, key_length, sizes)
        if level == 0:
            level = _scan_words(data, begin, end, marks)
        out[row] = level
