"""Which lines are alike? A hash of each line with every token that holds a digit left out.

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
