"""How many values may a body hold? Its marks, counted without Python's lock.

`bytes.count` holds the lock, and takes a nanosecond and more for each mark: for a body of nothing
else a tenth of a second in which no other request is answered.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]


@kernel("int64(cu8)", early=True)
def json_marks(body: U8) -> int:
    """How often `,`, `[` and `{` stand in it, within texts too."""
    found = 0
    for k in range(body.shape[0]):
        byte = body[k]
        found += int(byte == 44) + int(byte == 91) + int(byte == 123)
    return found


@kernel("int64(cu8)", early=True)
def otlp_marks(body: U8) -> int:
    """How often the byte 18, or 50 or 10 before a zero stand in it.

    Each message of an export has one: the tag of records and of values, or that of an attribute or
    a list item with nothing inside.
    """
    found = 0
    before = np.uint8(0)
    for k in range(body.shape[0]):
        byte = body[k]
        found += int(byte == 18) + int(byte == 0 and (before == 50 or before == 10))
        before = byte
    return found
