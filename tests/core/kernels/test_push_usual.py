"""The quick pass over a push body gives what the checked passes give, or leaves it to them.

Bodies also lie right before memory that may not be read: a byte too far ends the process.
"""

import ctypes
import mmap
import random
import subprocess
import sys
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from narfi.core.kernels import push_scan
from narfi.core.kernels.push_usual import count_usual, fill_usual
from narfi.core.wire.push_encode import encode_push_request

PAGE = mmap.PAGESIZE
TIME = st.one_of(st.integers(0, 2**62), st.integers(-(2**62), 2**62), st.just(0))
TEXT = st.text(max_size=3)
PAIRS = st.one_of(st.lists(st.tuples(TEXT, TEXT), max_size=0), st.lists(st.tuples(TEXT, TEXT)))
ENTRY = st.tuples(TIME, st.binary(max_size=12), PAIRS)
STREAM = st.tuples(st.text(max_size=6), st.lists(ENTRY, max_size=4))
BODY = st.lists(STREAM, max_size=4).map(encode_push_request)

Arrays = list[list[int]]


def usual(body: bytes) -> Arrays | None:
    """What the quick pass finds; None: not a usual body."""
    data = np.frombuffer(body, np.uint8)
    counts = np.zeros(2, np.int64)
    if not count_usual(data, counts):
        return None
    s, e = counts.tolist()
    arrays: tuple[Any, ...] = (
        np.empty(s, np.int64),
        np.empty(s, np.int32),
        np.empty(e, np.int32),
        np.empty(e, np.int64),
        np.empty(e, np.int64),
        np.empty(e, np.int32),
    )
    return [array.tolist() for array in arrays] if fill_usual(data, *arrays) else None


def checked(body: bytes) -> Arrays | None:
    """What the checked passes find; None: refused, or with metadata or times out of range."""
    data = np.frombuffer(body, np.uint8)
    counts = np.zeros(4, np.int64)
    if push_scan.count_push(data, counts) != push_scan.OK or counts[2:].any():
        return None
    s, e = counts[:2].tolist()
    arrays: tuple[Any, ...] = (
        np.empty(s, np.int64),
        np.empty(s, np.int32),
        np.empty(e, np.int32),
        np.empty(e, np.int64),
        np.empty(e, np.int64),
        np.empty(e, np.int32),
    )
    kinds = (np.int32, np.int64, np.int32, np.int64, np.int32)
    none: tuple[Any, ...] = tuple(np.empty(0, kind) for kind in kinds)
    push_scan.fill_push(data, *arrays, *none)
    return [array.tolist() for array in arrays]


@given(BODY)
def test_bodies_as_clients_write_them_take_the_quick_pass(body: bytes) -> None:
    found, wanted = usual(body), checked(body)
    assert found == wanted or (found is None and wanted is not None and min(wanted[3]) < 0)


@given(BODY, st.data())
@example(b"\x0a\x04\x12\x02\x0a\x00", None)
@example(b"\x0a\x06\x12\x04\x0a\x00\x0a\x00", None)  # two times: the last one counts
def test_damage_is_never_read_as_something_else(body: bytes, draw: st.DataObject | None) -> None:
    damaged = bytearray(body)
    for _ in range(draw.draw(st.integers(0, 4)) if draw and body else 0):
        assert draw
        damaged[draw.draw(st.integers(0, len(body) - 1))] = draw.draw(st.integers(0, 255))
    found = usual(bytes(damaged))
    assert found is None or found == checked(bytes(damaged))


@given(st.binary(max_size=40))
def test_any_bytes(body: bytes) -> None:
    found = usual(body)
    assert found is None or found == checked(body)


def read_before_a_wall(seed: int, bodies: int) -> None:
    """Bodies, cut and damaged, that end where memory ends which may be read."""
    area = mmap.mmap(-1, 2 * PAGE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(base + PAGE), PAGE, 0) == 0, ctypes.get_errno()
    r = random.Random(seed)
    accepted = 0
    for _ in range(bodies):
        entries = [(r.getrandbits(60), r.randbytes(r.randrange(30)), ()) for _ in range(5)]
        body = bytearray(encode_push_request([("{}", entries), ("{a}", entries[:2])]))
        if r.random() < 0.5:
            body = body[: r.randrange(1, len(body))]
        for _ in range(r.randrange(3)):
            body[r.randrange(len(body))] = r.choice((0x7F, 0xFF, 10, 18, r.randrange(256)))
        view = np.frombuffer(area, np.uint8)[PAGE - len(body) : PAGE]
        view[:] = np.frombuffer(body, np.uint8)
        counts = np.zeros(2, np.int64)
        if count_usual(view, counts):
            s, e = counts.tolist()
            lines = np.empty(e, np.int64), np.empty(e, np.int64), np.empty(e, np.int32)
            stream = np.empty(s, np.int64), np.empty(s, np.int32), np.empty(e, np.int32)
            accepted += fill_usual(view, *stream, *lines)
    assert 0 < accepted < bodies
    print("read", accepted)


def test_nothing_behind_the_body_is_read() -> None:
    code = f"from {__name__} import read_before_a_wall; read_before_a_wall(7, 5000)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("read")
