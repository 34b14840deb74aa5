"""Is a file told that is not as the index has a copy of it, before somebody else reads it?"""

import pytest

from storage.block.footer import DamagedBlockError, footer_of
from storage.block.format3.copies import check_copies
from storage.block.identity import Layout
from storage.block.layout import DATA, INDEX, STREAMS
from storage.sorting import merge_batches
from tests.storage.batches import Entry, batch_of
from tests.storage.blocks import MemoryObjects, stored


@pytest.mark.parametrize("packed", [False, True])
def test_every_byte_that_has_a_copy(packed: bool) -> None:
    entries: list[Entry] = [("a", n, b"GET /%d" % n, {"pod": "p"}) for n in range(50)]
    _, objects = stored(merge_batches([batch_of(entries)]), 8, layout=Layout(3, packed=packed))
    (prefix,) = {key.rpartition("/")[0] for key in objects.content}
    check_copies(objects, prefix)
    for key, good in list(objects.content.items()):
        name = key.rpartition("/")[2]
        if name == INDEX:
            continue
        copied = len(good) if name in (STREAMS, DATA) else len(footer_of(good))
        for at in {1, copied // 2, copied - 9} if name != DATA else {40}:
            damaged(objects, key, good, prefix, len(good) - at)
        for changed in (good[:-1], good + b"x"):
            objects.content[key] = changed
            with pytest.raises(DamagedBlockError, match=key):
                check_copies(objects, prefix)
        objects.content[key] = good
    check_copies(objects, prefix)


def damaged(objects: MemoryObjects, key: str, good: bytes, prefix: str, at: int) -> None:
    """One byte is another one."""
    objects.content[key] = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
    with pytest.raises(DamagedBlockError, match=key):
        check_copies(objects, prefix)
