"""Is a value surely not in a column chunk? Parquet's own split-block Bloom filters.

Written by the Parquet library for columns of nearly unique values (ids); read here, since the
library does not offer it. The layout is that of the Parquet specification: a header in Thrift's
compact protocol, then blocks of eight 32-bit words; values are hashed with XXH64, seed 0.
"""

from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from narfi.core.errors import AppError

SALTS = (
    0x47B6137B,
    0x44974D91,
    0x8824AD5B,
    0xA2B7289D,
    0x705495C7,
    0x2DF1424B,
    0x9EFC4947,
    0x5C6BFB31,
)
BLOCK_BYTES = 32
MAX_BYTES = 128 * 1024 * 1024
"""The specification's largest filter."""
_FIRST_FIELD_I32 = 0x15
_MASK = 0xFFFFFFFF


class BloomError(AppError):
    """The bytes are not a Bloom filter."""


@dataclass(frozen=True, slots=True)
class Bloom:
    """The filter of one column chunk, `[blocks, 8]` words."""

    words: NDArray[np.uint32]

    @staticmethod
    def parse(data: bytes) -> "Bloom":
        """From header and bit set as they lie in the file; raises `BloomError`."""
        if not data or data[0] != _FIRST_FIELD_I32:
            raise BloomError("a Bloom filter begins with another field")
        size = shift = 0
        for byte in data[1:6]:
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        size >>= 1  # zigzag, never negative
        if not 0 < size <= min(len(data), MAX_BYTES) or size % BLOCK_BYTES:
            raise BloomError(f"a Bloom filter of {size} bytes in {len(data)}")
        words = np.frombuffer(data[len(data) - size :], "<u4").reshape(-1, 8)
        return Bloom(words)

    def may_hold(self, value: bytes) -> bool:
        """False only when the chunk has no such value."""
        found = xxhash.xxh64_intdigest(value)
        block = self.words[((found >> 32) * len(self.words)) >> 32].tolist()
        key = found & _MASK
        return all(
            word >> ((key * salt & _MASK) >> 27) & 1
            for word, salt in zip(block, SALTS, strict=True)
        )
