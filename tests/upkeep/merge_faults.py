"""What may become of a merge in another process: functions that take the place of `merge_at`."""

import os
import signal
import time
from pathlib import Path

from storage.block.rewriting import MergeSpec, merge_at
from storage.catalog.base import BlockRow
from storage.objects.base import ObjectError

Place = tuple[str, MergeSpec]
SLOW_S = 600.0


def die(place: Place) -> BlockRow:
    """After the objects were put."""
    merge_at(place)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("never")


def refuse(_place: Place) -> BlockRow:
    """As a machine does that has no credentials of the store."""
    raise ObjectError("the store cannot be reached: no credentials")


def hang(place: Place) -> BlockRow:
    """For ever, nearly; that it begins is seen in the folder of the objects."""
    (Path(place[0]) / "begun").write_text("")
    time.sleep(SLOW_S)
    raise AssertionError("never")
