"""An object store in memory whose next creations do as a test says."""

from collections import deque
from enum import Enum

import pyarrow as pa

from storage.objects.base import ObjectError
from tests.storage.blocks import MemoryObjects


class Fault(Enum):
    """What becomes of one creation."""

    NONE = "none"
    REFUSED = "refused"  # not done, and the caller knows that something went wrong
    LOST = "lost"  # done, and the caller does not learn it


class FaultyObjects(MemoryObjects):
    """Takes a fault from the front of `faults` for each creation."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: deque[Fault] = deque()
        self.creations: list[str] = []

    def create(self, key: str, data: bytes | pa.Buffer) -> None:
        """As told."""
        self.creations.append(key)
        fault = self.faults.popleft() if self.faults else Fault.NONE
        if fault is Fault.REFUSED:
            raise ObjectError("503 SlowDown")
        super().create(key, data)
        if fault is Fault.LOST:
            raise ObjectError("the connection was lost")
