"""Are the marks of a body those that `bytes.count` finds, and is the lock free meanwhile?"""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.kernels.body_marks import json_marks, otlp_marks
from narfi.core.wire.json_body import load_json
from narfi.core.wire.push import PushFormatError

BODY = st.lists(st.sampled_from(list(b"\x00\n\x1222,[{}x")), max_size=40).map(bytes)


@given(BODY)
def test_marks(body: bytes) -> None:
    view = np.frombuffer(body, np.uint8)
    assert json_marks(view) == sum(map(body.count, (b",", b"[", b"{")))
    assert otlp_marks(view) == sum(map(body.count, (b"\x12", b"2\x00", b"\n\x00")))


def test_others_run_while_numbers_are_parsed() -> None:
    """Which only the slow parser takes; with a type in place of a function none would."""
    body = b'{"streams":[' + b"1e999," * 300_000 + b"1]"
    turns: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            turns.append(time.monotonic())
            time.sleep(0.001)

    other = threading.Thread(target=tick)
    other.start()
    try:
        with pytest.raises(PushFormatError):
            load_json(body)
    finally:
        done.set()
        other.join()
    assert len(turns) > 5
