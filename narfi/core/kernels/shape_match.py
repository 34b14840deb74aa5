"""Which known shape has a line, and what are its values? Compared and parsed in the same pass.

A table holds the shapes: a row for each constant, with the hole behind it (`AT` … below name its
columns); the last row of a shape has no hole. A line tries the shapes of its stream in order,
behind a test of least length and last byte; a hit moves half way to the front. Constants are
compared by one masked load and memcmp, values are taken as shape_values_at.py takes them, texts end
where shape_scan.py would end them, so that a line of a known shape is cut as it would be without.
Shapes of a program begin alike (its time, its level): a line goes on behind the rows that a shape
has in common with the one that was tried before it, as far as that one fitted.

A line's values are `int64` cells from `cell_from[line]` on, one a hole: a number; a code of the
hole's dictionary; a text as `start << 16 | length`, and its complement where the dictionary is
full; hex digits as bytes in as many cells as they need.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.address import (
    load8,
    load32,
    load64,
    load_int,
    load_until,
    store32,
    store_int,
)
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

ROW_BYTES, WORD_BYTES = 8 * COLUMNS, 48
Words = tuple[int, int, int, int, int, int, int]
"""All dictionaries, for device functions: addresses of the slots (a power of two, of which one less
is the mask) and of the words (for so many there is room), and of the codes of each dictionary, of
which there are so many, with all words behind; most codes of a dictionary."""
TEXT_BITS = 16
_FREE = (1 << 32) - 1
"""A slot without a word."""
_HIGH, _LOW = np.uint64(0x8080808080808080), np.uint64(0x0101010101010101)
_QUOTES, _BACKSLASHES = np.uint64(0x2222222222222222), np.uint64(0x5C5C5C5C5C5C5C5C)
_PRIME = np.uint64(0x9E3779B97F4A7C15)


@kernel()
def _first_of(at: int, stop: int, wall: int, marks: np.uint64, others: np.uint64) -> int:
    """The first place in `[at, stop)` with the byte that `marks` or `others` repeats; or `stop`.

    Eight bytes at once: the lowest bit that a comparison sets is that of the first equal byte.
    """
    while at < stop:
        word = load_until(at, wall)
        a, b = word ^ marks, word ^ others
        hit = ((a - _LOW) & ~a | (b - _LOW) & ~b) & _HIGH
        if hit != 0:
            while hit & np.uint64(0xFF) == 0:
                hit >>= np.uint64(8)
                at += 1
            return min(at, stop)
        at += 8
    return stop


@kernel()
def _quote_at(at: int, stop: int, wall: int) -> int:
    """The closing quote of a text without escapes; 0: there is an escape or no quote."""
    found = _first_of(at, stop, wall, _QUOTES, _BACKSLASHES)
    return found if found < stop and load8(found) == 34 else 0


@kernel()
def text_end(data: U8, at: int, end: int, ends: int, depth: int) -> int:
    """Where `cut_lines` would end a hole that begins at `at`; -1 when it would make none."""
    base = data.ctypes.data
    begin, wall = base + at, base + end
    if ends == BY_STRING or ends == BY_QUOTE:
        close = _quote_at(begin, wall, base + data.shape[0])
        if close != 0:
            return close - base
        return string_end(data, at, end) if ends == BY_STRING else quote_end(data, at, end)
    if at >= end:
        return -1
    if ends == BY_LITERAL:
        return literal_end(data, at, end)
    if ends == BY_ARRAY:
        return array_end(data, at, end, depth) if load8(begin) == 91 else -1
    stop = begin
    if ends == BY_WORD:
        # most that begins with a digit is no time
        if 48 <= load8(begin) <= 57 and end - at >= 19 and load8(begin + 4) == 45:
            stop = base + time_end(data, at, end)
        while stop < wall and not DELIMITER[np.uint64(load8(stop))]:
            stop += 1
        while stop > begin + 1 and (load8(stop - 1) == 58 or load8(stop - 1) == 46):
            stop -= 1
    elif ends == BY_VALUE:
        while stop < wall and load8(stop) > 32 and load8(stop) != 34:
            stop += 1
    else:
        while stop < wall and (
            FINE_WORD[np.uint64(load8(stop))]
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
def _known(slots: I32, words: I64, counts: I64, most: int) -> Words:
    dictionaries = counts.shape[0] - 1
    at = slots.ctypes.data, words.ctypes.data, counts.ctypes.data
    return at[0], slots.shape[0] - 1, at[1], words.shape[0], at[2], dictionaries, most


@kernel()
def _code_of(base: int, at: int, size: int, wall: int, number: int, known: Words) -> int:
    """The code of a word in a dictionary, entered when it is new; -1 when there is no room."""
    slots, mask, words, room, counts, dictionaries, most = known
    first = load_until(at, wall)
    if size < 8:
        first &= (np.uint64(1) << np.uint64(8 * size)) - np.uint64(1)
    h = (first ^ np.uint64(number << TEXT_BITS | size)) * _PRIME
    h ^= h >> np.uint64(29)
    place, stop = at + 8, at + size
    while place + 8 <= stop:
        h = (h ^ load64(place)) * _PRIME
        h ^= h >> np.uint64(29)
        place += 8
    if place < stop:
        h = (h ^ load_until(place, stop)) * _PRIME
        h ^= h >> np.uint64(29)
    slot = int(np.int64((h ^ (h >> np.uint64(32))) & np.uint64(mask)))
    while True:
        entry = load32(slots + 4 * slot)
        if entry == _FREE:
            total = load_int(counts + 8 * dictionaries)
            code = load_int(counts + 8 * number)
            if code >= most or total >= room:
                return -1
            store32(slots + 4 * slot, total)
            word = words + total * WORD_BYTES
            store_int(word + 8 * W_HASH, int(np.int64(h)))
            store_int(word + 8 * W_FIRST, int(np.int64(first)))
            store_int(word + 8 * W_START, at - base)
            store_int(word + 8 * W_SIZE, size)
            store_int(word + 8 * W_DICTIONARY, number)
            store_int(word + 8 * W_CODE, code)
            store_int(counts + 8 * number, code + 1)
            store_int(counts + 8 * dictionaries, total + 1)
            return code
        word = words + entry * WORD_BYTES
        if (
            load64(word + 8 * W_HASH) == h
            and load_int(word + 8 * W_SIZE) == size
            and load_int(word + 8 * W_DICTIONARY) == number
            and load64(word + 8 * W_FIRST) == first
            and (size <= 8 or _is_same(base + load_int(word + 8 * W_START), at, size))
        ):
            return load_int(word + 8 * W_CODE)
        slot = (slot + 1) & mask


@kernel()
def _is_same(one: int, other: int, size: int) -> bool:
    """Whether the bytes at two addresses are equal, at least eight of them."""
    k, last = 0, size - 8
    while k < last:
        if load64(one + k) != load64(other + k):
            return False
        k += 8
    return bool(load64(one + last) == load64(other + last))


@kernel()
def _is_constant(row: int, at: int, stop: int, wall: int) -> bool:
    """Whether the constant of a row, which is an address, stands at another one."""
    size = load_int(row + 8 * SIZE)
    if size == 0:
        return True
    if stop - at < size:
        return False
    if load_until(at, wall) & load64(row + 8 * MASK) != load64(row + 8 * FIRST):
        return False
    return size <= 8 or _is_same(at, load_int(row + 8 * AT), size)


@kernel()
def _hex_cells(row: int, at: int, cells: int, place: int, cell_bytes: U8) -> bool:
    """Put the bytes of hex digits into cells from number `place` on."""
    width = load_int(row + 8 * WIDTH)
    if load_int(row + 8 * SCALE) == 0:
        return hex_at(at, load_int(row + 8 * LAYOUT), width, cell_bytes, place * 8)
    for k in range(width >> 3):
        found = hex8_at(at + 8 * k)
        if found == NOT_HEX:
            return False
        store32(cells + 8 * place + 4 * k, found)
    return True


@kernel()
def _time_at(row: int, at: int) -> int:
    """The time at an address, or NO_TIME; most lines repeat the last one of the hole."""
    last, width = load_int(row + 8 * LAST_TEXT), load_int(row + 8 * WIDTH)
    if last == 0 or not _is_same(last, at, width):
        value = time_value(at, load_int(row + 8 * LAYOUT), width)
        if value == NO_TIME:
            return NO_TIME
        store_int(row + 8 * LAST_TEXT, at)
        store_int(row + 8 * LAST_TIME, value)
        return int(value)
    return load_int(row + 8 * LAST_TIME)


@kernel()
def _matches(
    data: U8,
    begin: int,
    end: int,
    row: int,
    holes: int,
    place: int,
    cells: int,
    cell_bytes: U8,
    known: Words,
    first: int,
    ats: int,
) -> int:
    """How many rows fit the line at `[begin, end)` of the data; all do when it is of the shape.

    Their cells are filled, from number `place` on. `row` is the address of the first row; `first`
    rows are known to fit. `ats`: address of where the line stands before each row that it came to.
    """
    base = data.ctypes.data
    row, stop, wall = row + first * ROW_BYTES, base + end, base + data.shape[0]
    at = base + begin if first == 0 else load_int(ats + 8 * first)
    for fitting in range(first, holes):
        store_int(ats + 8 * fitting, at)
        if not _is_constant(row, at, stop, wall):
            return fitting
        at += load_int(row + 8 * SIZE)
        kind = load_int(row + 8 * KIND)
        cell = place + load_int(row + 8 * CELL)
        if kind == WORDS or kind == BYTES:
            ends, depth = load_int(row + 8 * ENDS), load_int(row + 8 * SCALE)
            found = text_end(data, at - base, end, ends, depth)
            if found < 0:
                return fitting
            behind, size = base + found, base + found - at
            value = (at - base) << TEXT_BITS | size
            if kind == WORDS:
                # a line that does not fit should not enter words
                if not _is_constant(row + ROW_BYTES, behind, stop, wall):
                    return fitting
                number = load_int(row + 8 * DICTIONARY)
                code = _code_of(base, at, size, wall, number, known)
                value = code if code >= 0 else ~value
            at = behind
        elif kind == NUMBER:
            scale, least = load_int(row + 8 * SCALE), load_int(row + 8 * LEAST)
            value, at = number_at(at, stop, scale, least, load_int(row + 8 * WIDTH))
            if at == 0:
                return fitting
        elif kind == IPV4:
            value, at = ipv4_at(at, stop)
            if at == 0:
                return fitting
        else:
            width = load_int(row + 8 * WIDTH)
            if stop - at < width:
                return fitting
            if kind == HEX:
                if not _hex_cells(row, at, cells, cell, cell_bytes):
                    return fitting
                at += width
                row += ROW_BYTES
                continue
            value = _time_at(row, at)
            if value == NO_TIME:
                return fitting
            at += width
        store_int(cells + 8 * cell, value)
        row += ROW_BYTES
    store_int(ats + 8 * holes, at)
    return holes + int(stop - at == load_int(row + 8 * SIZE) and _is_constant(row, at, stop, wall))


@kernel()
def _may_fit(shapes: I64, t: int, row: int, size: np.int64, last: int, head: np.uint64) -> bool:
    """Whether a line of so many bytes, of which the last and the first eight are given, may."""
    if size < shapes[t, MIN_BYTES]:
        return False
    if shapes[t, LAST_BYTE] >= 0 and shapes[t, LAST_BYTE] != last:
        return False
    return bool(head & load64(row + 8 * MASK) == load64(row + 8 * FIRST))


@kernel()
def _common(begins: I32, one: int, other: int, most: int) -> int:
    """How many rows two shapes have in common, of `most`; they begin at rows `one` and `other`."""
    common = 0
    while common < most and begins[one + common] == begins[other + common]:
        common += 1
    return common


@kernel(
    "int64(cu8, ci64, ci32, ci32, ci64, int64, int32[::1], ci64, ci64x2, int64[:, ::1], ci32,"
    " int32[::1], int64[::1], int64[::1], uint8[::1], int32[::1], int64[:, ::1], int64[::1],"
    " int64, int64[::1], int64[::1])"
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
    begins: I32,
    shape: I32,
    cell_from: I64,
    cells: I64,
    cell_bytes: U8,
    slots: I32,
    words: I64,
    counts: I64,
    most: int,
    used: I64,
    ats: I64,
) -> int:
    """Fill `shape` (-1: none) and `cell_from` of the lines `order[done:]`.

    Returns how many are done. Stops before a line for which the cells may not suffice. `used` has
    the cells in use and, after it, how often a shape was tried of which the first constant fits.
    The shapes of stream s are `tried[tried_from[s] : tried_from[s + 1]]`; they are put in another
    order. Rows of shapes have one number in `begins` where those up to them are equal; `ats` has a
    place for each row of a shape. `most` words a dictionary have codes. `cell_bytes` are the bytes
    of the cells; there is a power of two of slots, all -1 at first.
    """
    base = data.ctypes.data
    wall = base + data.shape[0]
    known = _known(slots, words, counts, most)
    rows, cell = table.ctypes.data, cells.ctypes.data
    at = used[0]
    for n in range(done, order.shape[0]):
        i = order[n]
        begin, size = start[i], np.int64(length[i])
        shape[i] = -1
        if size == 0 or size > MAX_LINE:
            continue
        end = begin + size
        last = load8(base + end - 1)
        head = load_until(base + begin, wall)
        low = np.int64(tried_from[stream[i]])
        before = fitting = 0
        for q in range(low, tried_from[stream[i] + 1]):
            t = tried[q]
            row = rows + shapes[t, FIRST_ROW] * ROW_BYTES
            if not _may_fit(shapes, t, row, size, last, head):
                continue
            if at + shapes[t, CELLS] > cells.shape[0]:
                used[0] = at
                return n
            used[1] += 1
            holes, mine = int(shapes[t, HOLES]), int(shapes[t, FIRST_ROW])
            common = _common(begins, before, mine, min(fitting, holes))
            before = mine
            fitting = _matches(
                data, begin, end, row, holes, at, cell, cell_bytes, known, common, ats.ctypes.data
            )
            if fitting > holes:
                shape[i], cell_from[i] = t, at
                at += shapes[t, CELLS]
                tried[q], tried[(low + q) // 2] = tried[(low + q) // 2], t
                break
    used[0] = at
    return int(order.shape[0])


@kernel("void(ci32, ci32, int64[::1], int64[::1])")
def count_shapes(shape: I32, length: I32, sizes: I64, nbytes: I64) -> None:
    """Add up the lines of each shape, and their bytes; lines of shape -1 have none."""
    for i in range(shape.shape[0]):
        t = shape[i]
        if t >= 0:
            sizes[t] += 1
            nbytes[t] += length[i]


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
