"""Which lines are alike? A hash of each line with every token that holds a digit left out.

And what these tokens have in common in lines that are alike.

A token is a run of word bytes and joiners (`.:/-+@%`) that begins and ends with a word byte. The
slow twin that also gives the text is `narfi/core/text/masks.py`.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

_WORD, _JOINER = 1, 2
HOLE = 0x1FF
"""Stands for a token with a digit; no byte has this value."""

_KINDS = np.zeros(256, np.uint8)
_KINDS[[*b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"]] = _WORD
_KINDS[128:] = _WORD
_KINDS[[*b".:/-+@%"]] = _JOINER
KINDS = bytes(_KINDS)


@kernel("void(cu8, ci64, ci32, cu8, uint64[::1])")
def mask_hashes(data: U8, start: I64, length: I32, kinds: U8, out: U64) -> None:
    """Fill a hash per line; `kinds` is `KINDS` as an array."""
    prime, seed = np.uint64(1099511628211), np.uint64(14695981039346656037)
    for row in range(start.shape[0]):
        at, end = start[row], start[row] + length[row]
        h = seed
        while at < end:
            if kinds[data[at]] != 1:
                h = (h ^ np.uint64(data[at])) * prime
                at += 1
                continue
            stop = last = at
            digit = False
            while stop < end and kinds[data[stop]] != 0:
                if kinds[data[stop]] == 1:
                    last = stop
                    digit = digit or 48 <= data[stop] <= 57
                stop += 1
            if digit:
                h = (h ^ np.uint64(HOLE)) * prime
            else:
                for k in range(at, last + 1):
                    h = (h ^ np.uint64(data[k])) * prime
            at = last + 1
        out[row] = h ^ (h >> np.uint64(32))


@kernel()
def _digit_token(data: U8, at: int, end: int, kinds: U8) -> tuple[int, int]:
    """`[begin, end)` of the first token with a digit at or behind `at`; begin is -1 without one."""
    while at < end:
        if kinds[data[at]] != 1:
            at += 1
            continue
        stop = last = at
        digit = False
        while stop < end and kinds[data[stop]] != 0:
            if kinds[data[stop]] == 1:
                last = stop
                digit = digit or 48 <= data[stop] <= 57
            stop += 1
        if digit:
            return at, last + 1
        at = last + 1
    return -1, end


@kernel()
def _cut(data: U8, begin: int, end: int) -> int:
    """How many bytes there are up to the last slash, with it; 0 without one."""
    while end > begin and data[end - 1] != 47:
        end -= 1
    return end - begin


@kernel("void(cu8, ci64, ci32, cu8, ci64, ci64, ci64, int32[::1])", allocates=True)
def shared_tokens(
    data: U8,
    start: I64,
    length: I32,
    kinds: U8,
    group: I64,
    example: I64,
    offset: I64,
    shared: I32,
) -> None:
    """Cut `shared[offset[g] + k]` to what token k with a digit has in common in group g.

    It starts as the length of the token in the `example` row of the group; where the token differs
    it becomes what is common up to a slash, with it. All rows of a group have its mask. A group of
    which no token has anything in common is skipped.
    """
    left = offset[1:] - offset[:-1]
    for row in range(group.shape[0]):
        g = group[row]
        if left[g] == 0:
            continue
        at, end = start[row], start[row] + length[row]
        first = example[g]
        e_at, e_end = start[first], start[first] + length[first]
        for k in range(offset[g], offset[g + 1]):
            begin, at = _digit_token(data, at, end, kinds)
            e_begin, e_at = _digit_token(data, e_at, e_end, kinds)
            if begin < 0 or e_begin < 0:
                break
            size = shared[k]
            if size == 0:
                continue
            j = 0
            while j < size and begin + j < at and data[begin + j] == data[e_begin + j]:
                j += 1
            if j < size or (size == e_at - e_begin and at - begin != size):
                shared[k] = _cut(data, e_begin, e_begin + j)
                if shared[k] == 0:
                    left[g] -= 1


@kernel("void(cu8, ci64, ci32, cu8, int64[::1])")
def count_tokens(data: U8, start: I64, length: I32, kinds: U8, out: I64) -> None:
    """How many tokens of each text hold a digit."""
    for row in range(start.shape[0]):
        at, end = start[row], start[row] + length[row]
        count = 0
        while True:
            begin, at = _digit_token(data, at, end, kinds)
            if begin < 0:
                break
            count += 1
        out[row] = count


@kernel("void(cu8, ci64, ci32, cu8, ci64, int32[::1])")
def token_lengths(data: U8, start: I64, length: I32, kinds: U8, offset: I64, out: I32) -> None:
    """The bytes of every token with a digit; `out[offset[row] + k]` is of token k of the row."""
    for row in range(start.shape[0]):
        at, end = start[row], start[row] + length[row]
        for k in range(offset[row], offset[row + 1]):
            begin, at = _digit_token(data, at, end, kinds)
            out[k] = at - begin


@kernel("void(cu8, ci64, ci32, cu8, ci64, int64[::1], int32[::1])")
def token_places(
    data: U8, start: I64, length: I32, kinds: U8, offset: I64, first: I64, size: I32
) -> None:
    """Where every token with a digit begins in `data`, and its bytes; `[offset[row] + k]` is of
    token k of the row.
    """
    for row in range(start.shape[0]):
        at, end = start[row], start[row] + length[row]
        for k in range(offset[row], offset[row + 1]):
            begin, at = _digit_token(data, at, end, kinds)
            first[k], size[k] = begin, at - begin


@kernel("void(cu8, ci64, ci32, cu8, ci64, ci32, uint64[::1])")
def shared_hashes(
    data: U8, start: I64, length: I32, kinds: U8, offset: I64, shared: I32, out: U64
) -> None:
    """Fill a hash per text of what its tokens with a digit share, and whether that is all of each;
    `shared[offset[row] + k]` is of token k of the row.
    """
    prime, seed = np.uint64(1099511628211), np.uint64(14695981039346656037)
    for row in range(start.shape[0]):
        at, end = start[row], start[row] + length[row]
        h = seed
        for k in range(offset[row], offset[row + 1]):
            begin, at = _digit_token(data, at, end, kinds)
            if begin < 0:
                break
            for j in range(begin, begin + shared[k]):
                h = (h ^ np.uint64(data[j])) * prime
            h = (h ^ np.uint64(HOLE + (shared[k] == at - begin))) * prime
        out[row] = h ^ (h >> np.uint64(32))


@kernel("void(cu8, ci64, ci32, cu8, ci64, ci32, boolean[::1])")
def mark_changing(
    data: U8,
    start: I64,
    length: I32,
    kinds: U8,
    offset: I64,
    shared: I32,
    changing: NDArray[np.bool_],
) -> None:
    """Set `changing` at the bytes of every token behind what is `shared`; places as above."""
    for row in range(start.shape[0]):
        at, end = start[row], start[row] + length[row]
        for k in range(offset[row], offset[row + 1]):
            begin, at = _digit_token(data, at, end, kinds)
            if begin >= 0:
                for j in range(begin + shared[k], at):
                    changing[j] = True


@kernel("void(cu8, ci64, ci32, cu8, ci64, cbool, int32[::1])")
def unchanging(
    data: U8,
    start: I64,
    length: I32,
    kinds: U8,
    offset: I64,
    changing: NDArray[np.bool_],
    shared: I32,
) -> None:
    """Fill `shared` of every token: its length, or up to a slash what is not `changing`."""
    for row in range(start.shape[0]):
        at, end = start[row], start[row] + length[row]
        for k in range(offset[row], offset[row + 1]):
            begin, at = _digit_token(data, at, end, kinds)
            shared[k] = at - begin
            for j in range(begin, at):
                if changing[j]:
                    shared[k] = _cut(data, begin, j)
                    break
