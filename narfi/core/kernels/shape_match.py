"""Which known shape has a line, and what are its values? Compared and parsed in the same pass.

A table holds the shapes: a row for each constant, with the hole behind it (`AT` … below name its
columns); the last row of a shape has no hole. A line tries the shapes of its stream in order,
behind a test of least length and last byte; a hit moves half way to the front. Constants are
compared by one masked load and memcmp, values are taken as shape_values_at.py takes them, texts end
where shape_scan.py would end them, so that a line of a known shape is cut as it would be without.

A line's values are `int64` cells from `cell_from[line]` on, one a hole: a number; a code of the
hole's dictionary; a text as `start << 16 | length`, and its complement where the dictionary is
full; hex digits as bytes in as many cells as they need.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.address import load8, load_until, memcmp
from narfi.core.kernels.jit import kernel
from narfi.core.kernels.shape_scan import (
    DELIMITER,
    FINE_WORD,
    MAX_LINE,
    array_end,
    literal_end,
    quote_end,
    string_end,
    time_end,
)
from narfi.core.kernels.shape_times import NO_TIME, time_value
from narfi.core.kernels.shape_values import CLASS_OF
from narfi.core.kernels.shape_values_at import NOT_HEX, hex8_at, hex_at, ipv4_at, number_at

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

NUMBER, HEX, IPV4, TIME, WORDS, BYTES = range(6)
"""Kinds of holes."""
BY_WORD, BY_VALUE, BY_QUOTE, BY_STRING, BY_LITERAL, BY_ARRAY, BY_RUN = range(7)
"""How the text of a hole ends."""
AT, SIZE, MASK, FIRST, KIND, ENDS, SCALE, LEAST, WIDTH, LAYOUT, DICTIONARY, CELL = range(12)
LAST_TEXT, LAST_TIME = 12, 13
COLUMNS = 14
"""Of a constant: address, bytes, mask and value of its first eight bytes. Of the hole behind: its
kind; how its text ends; decimals (or objects around an array); least decimals; least digits, or
bytes of the layout; address of that; its dictionary; its cell; text and value of its last time."""

FIRST_ROW, HOLES, CELLS, MIN_BYTES, LAST_BYTE = range(5)
"""Columns of a shape: its first row in the table, holes, cells, least bytes of a line, and the byte
that a line ends with (-1: any)."""

W_HASH, W_FIRST, W_START, W_SIZE, W_DICTIONARY, W_CODE = range(6)
"""Columns of a word: hash, first eight bytes, place in the data, bytes, its dictionary and code."""

TEXT_BITS = 16
_PRIME = np.uint64(0x9E3779B97F4A7C15)


@kernel()
def text_end(data: U8, at: int, end: int, ends: int, depth: int) -> int:
    """Where `cut_lines` would end a hole that begins at `at`; -1 when it would make none."""
    if ends == BY_STRING:
        return string_end(data, at, end)
    if ends == BY_QUOTE:
        return quote_end(data, at, end)
    if at >= end:
        return -1
    if ends == BY_LITERAL:
        return literal_end(data, at, end)
    if ends == BY_ARRAY:
        return array_end(data, at, end, depth) if data[at] == 91 else -1
    base = data.ctypes.data
    begin, wall = base + at, base + end
    stop = begin
    if ends == BY_WORD:
        if 48 <= load8(begin) <= 57:
            stop = base + time_end(data, at, end)
        while stop < wall and not DELIMITER[load8(stop)]:
            stop += 1
        while stop > begin + 1 and (load8(stop - 1) == 58 or load8(stop - 1) == 46):
            stop -= 1
    elif ends == BY_VALUE:
        while stop < wall and load8(stop) > 32 and load8(stop) != 34:
            stop += 1
    else:
        while stop < wall and (
            FINE_WORD[load8(stop)]
            or (
                stop > begin
                and stop + 1 < wall
                and load8(stop) == 46
                and 48 <= load8(stop - 1) <= 57
                and 48 <= load8(stop + 1) <= 57
            )
        ):
            stop += 1
    return stop - base if stop > begin else -1


@kernel()
def _code_of(
    base: int,
    at: int,
    size: int,
    wall: int,
    number: int,
    slots: I32,
    words: I64,
    counts: I64,
    most: int,
) -> int:
    """The code of a word in a dictionary, entered when it is new; -1 when there is no room.

    `counts` has the codes of each dictionary and, last, all words; `slots` is a power of two long.
    """
    first = load_until(at, wall)
    if size < 8:
        first &= (np.uint64(1) << np.uint64(8 * size)) - np.uint64(1)
    h = (first ^ np.uint64(number << TEXT_BITS | size)) * _PRIME
    h ^= h >> np.uint64(29)
    place, stop = at + 8, at + size
    while place < stop:
        h = (h ^ load_until(place, stop)) * _PRIME
        h ^= h >> np.uint64(29)
        place += 8
    mask = np.uint64(slots.shape[0] - 1)
    slot = np.int64((h ^ (h >> np.uint64(32))) & mask)
    while True:
        word = slots[slot]
        if word < 0:
            total = counts[counts.shape[0] - 1]
            code = counts[number]
            if code >= most or total >= words.shape[0]:
                return -1
            slots[slot] = total
            words[total, W_HASH] = np.int64(h)
            words[total, W_FIRST] = np.int64(first)
            words[total, W_START] = at - base
            words[total, W_SIZE] = size
            words[total, W_DICTIONARY] = number
            words[total, W_CODE] = code
            counts[number] = code + 1
            counts[counts.shape[0] - 1] = total + 1
            return int(code)
        if (
            words[word, W_HASH] == np.int64(h)
            and words[word, W_SIZE] == size
            and words[word, W_DICTIONARY] == number
            and words[word, W_FIRST] == np.int64(first)
            and (size <= 8 or memcmp(base + words[word, W_START] + 8, at + 8, size - 8) == 0)
        ):
            return int(words[word, W_CODE])
        slot = (slot + 1) & np.int64(mask)


@kernel()
def _is_constant(table: I64, row: int, at: int, end: int, wall: int) -> bool:
    """Whether a constant stands at an address."""
    size = table[row, SIZE]
    if size == 0:
        return True
    if end - at < size:
        return False
    if load_until(at, wall) & np.uint64(table[row, MASK]) != np.uint64(table[row, FIRST]):
        return False
    return bool(size <= 8 or memcmp(at + 8, table[row, AT] + 8, size - 8) == 0)


@kernel()
def _hex_cells(table: I64, row: int, at: int, cell: int, cell_bytes: U8, cell_halves: U32) -> bool:
    """Put the bytes of hex digits into cells from `cell` on."""
    width = table[row, WIDTH]
    if table[row, SCALE] == 0:
        return hex_at(at, table[row, LAYOUT], width, cell_bytes, cell * 8)
    for k in range(width >> 3):
        found = hex8_at(at + 8 * k)
        if found == NOT_HEX:
            return False
        cell_halves[cell * 2 + k] = found
    return True


@kernel()
def _time_at(table: I64, row: int, at: int) -> int:
    """The time at an address, or NO_TIME; most lines repeat the last one of the hole."""
    last, width = table[row, LAST_TEXT], table[row, WIDTH]
    if last == 0 or memcmp(last, at, width) != 0:
        value = time_value(at, table[row, LAYOUT], width)
        if value == NO_TIME:
            return NO_TIME
        table[row, LAST_TEXT], table[row, LAST_TIME] = at, value
    return int(table[row, LAST_TIME])


@kernel()
def _matches(
    data: U8,
    begin: int,
    end: int,
    first: int,
    holes: int,
    table: I64,
    cell: int,
    cells: I64,
    cell_bytes: U8,
    cell_halves: U32,
    slots: I32,
    words: I64,
    counts: I64,
    most: int,
) -> bool:
    """Whether the line at `[begin, end)` of the data is of the shape; its cells are filled then."""
    base = data.ctypes.data
    at, stop, wall = base + begin, base + end, base + data.shape[0]
    for k in range(holes):
        row = first + k
        if not _is_constant(table, row, at, stop, wall):
            return False
        at += table[row, SIZE]
        kind = table[row, KIND]
        place = cell + table[row, CELL]
        if kind == WORDS or kind == BYTES:
            found = text_end(data, at - base, end, table[row, ENDS], table[row, SCALE])
            if found < 0:
                return False
            behind = base + found
            size = behind - at
            text = (at - base) << TEXT_BITS | size
            if kind == WORDS:
                # a line that does not fit should not enter words
                if not _is_constant(table, row + 1, behind, stop, wall):
                    return False
                code = _code_of(
                    base, at, size, wall, table[row, DICTIONARY], slots, words, counts, most
                )
                cells[place] = code if code >= 0 else ~text
            else:
                cells[place] = text
            at = behind
        elif kind == NUMBER:
            value, at = number_at(at, stop, table[row, SCALE], table[row, LEAST], table[row, WIDTH])
            if at == 0:
                return False
            cells[place] = value
        elif kind == IPV4:
            value, at = ipv4_at(at, stop)
            if at == 0:
                return False
            cells[place] = value
        else:
            width = table[row, WIDTH]
            if stop - at < width:
                return False
            if kind == HEX:
                if not _hex_cells(table, row, at, place, cell_bytes, cell_halves):
                    return False
            else:
                cells[place] = _time_at(table, row, at)
                if cells[place] == NO_TIME:
                    return False
            at += width
    row = first + holes
    return stop - at == table[row, SIZE] and _is_constant(table, row, at, stop, wall)


@kernel(
    "int64(cu8, ci64, ci32, ci32, ci64, int64, int32[::1], ci64, ci64x2, int64[:, ::1],"
    " int32[::1], int64[::1], int64[::1], uint8[::1], uint32[::1], int32[::1], int64[:, ::1],"
    " int64[::1], int64, int64[::1])"
)
def match_lines(
    data: U8,
    start: I64,
    length: I32,
    stream: I32,
    order: I64,
    done: int,
    tried: I32,
    tried_from: I64,
    shapes: I64,
    table: I64,
    shape: I32,
    cell_from: I64,
    cells: I64,
    cell_bytes: U8,
    cell_halves: U32,
    slots: I32,
    words: I64,
    counts: I64,
    most: int,
    used: I64,
) -> int:
    """Fill `shape` (-1: none) and `cell_from` of the lines `order[done:]`.

    Returns how many are done. Stops before a line for which the cells may not suffice. `used` has
    the cells in use and, after it, how often a shape was tried. The shapes of stream s are
    `tried[tried_from[s] : tried_from[s + 1]]`; they are put in another order. `most` words a
    dictionary have codes.
    """
    base = data.ctypes.data
    for n in range(done, order.shape[0]):
        i = order[n]
        begin, size = start[i], np.int64(length[i])
        shape[i] = -1
        if size == 0 or size > MAX_LINE:
            continue
        end = begin + size
        last = load8(base + end - 1)
        low = tried_from[stream[i]]
        for q in range(low, tried_from[stream[i] + 1]):
            t = tried[q]
            if size < shapes[t, MIN_BYTES]:
                continue
            if shapes[t, LAST_BYTE] >= 0 and shapes[t, LAST_BYTE] != last:
                continue
            if used[0] + shapes[t, CELLS] > cells.shape[0]:
                return n
            used[1] += 1
            if _matches(
                data,
                begin,
                end,
                shapes[t, FIRST_ROW],
                shapes[t, HOLES],
                table,
                used[0],
                cells,
                cell_bytes,
                cell_halves,
                slots,
                words,
                counts,
                most,
            ):
                shape[i] = t
                cell_from[i] = used[0]
                used[0] += shapes[t, CELLS]
                tried[q], tried[(low + q) // 2] = tried[(low + q) // 2], t
                break
    return int(order.shape[0])


@kernel("void(ci64, ci64, ci64, int64[:, ::1])")
def gather_cells(rows: I64, cell_from: I64, cells: I64, out: I64) -> None:
    """The cells of some lines as `[cell, line]`."""
    count = out.shape[0]
    for i in range(rows.shape[0]):
        at = cell_from[rows[i]]
        for k in range(count):
            out[k, i] = cells[at + k]


@kernel("int64(ci32, int64[::1], int32[::1], int64[::1])")
def renumber(values: I32, numbers: I64, codes: I32, firsts: I64) -> int:
    """Number the codes that occur in order of first appearance; returns how many there are.

    `numbers` is filled with -1, a place a code; `firsts` becomes the old code of each number.
    """
    count = 0
    for i in range(values.shape[0]):
        code = values[i]
        if numbers[code] < 0:
            numbers[code] = count
            firsts[count] = code
            count += 1
        codes[i] = numbers[code]
    return count


@kernel("void(cu8, ci64, ci32, int64[::1])")
def stamp_texts(data: U8, start: I64, length: I32, out: I64) -> None:
    """Fill `out` with the OR of the bytes' classes, and the least and largest length."""
    base = data.ctypes.data
    classes = 0
    low, high = length[0], length[0]
    for i in range(start.shape[0]):
        at = base + start[i]
        end = at + length[i]
        low, high = min(low, length[i]), max(high, length[i])
        while at < end:
            classes |= CLASS_OF[load8(at)]
            at += 1
    out[0], out[1], out[2] = classes, low, high
