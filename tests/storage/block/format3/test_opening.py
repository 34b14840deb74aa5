"""Is a block opened by one read, and is only that decoded which is asked for?"""

from unittest.mock import Mock

import pyarrow.parquet as pq
import pytest

from storage.block.footer import DamagedBlockError
from storage.block.format3.index_object import decode_index
from storage.block.format3.opening import open_families
from storage.block.format3.stored import family_from_json
from storage.block.identity import Layout
from storage.block.layout import INDEX
from storage.block.opening import read_index
from tests.storage.blocks import MemoryObjects, stored
from tests.storage.families import APPS, programs


class Counting(MemoryObjects):
    """Says which objects were read."""

    def __init__(self, content: dict[str, bytes]) -> None:
        super().__init__()
        self.content, self.asked = content, list[str]()

    def get(self, key: str) -> bytes:
        """The whole object."""
        self.asked.append(key.rpartition("/")[2])
        return super().get(key)


def test_one_read_opens_a_block() -> None:
    row, objects = stored(programs(), 8, layout=Layout(3))
    counting = Counting(objects.content)
    found = read_index(row, counting)
    assert counting.asked == ["index"]
    assert found.families is not None
    assert len(found.families.families) == len(APPS)


def test_nothing_is_decoded_that_nobody_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    row, objects = stored(programs(), 8, layout=Layout(3))
    shapes = Mock(side_effect=family_from_json)
    footers = Mock(side_effect=pq.read_metadata)
    monkeypatch.setattr("storage.block.format3.opening.family_from_json", shapes)
    monkeypatch.setattr(pq, "read_metadata", footers)
    found = read_index(row, objects).families
    assert found is not None
    before = footers.call_count
    assert (shapes.call_count, before) == (0, 1), "which metadata there is"
    (section, *_) = [section for section in found.sections if section.family.number == 1]
    for _ in range(2):
        assert section.template is not None
        assert section.family.file.places
    assert (shapes.call_count, footers.call_count) == (1, before + 1)
    assert shapes.call_args.args[0]["file"] == "family-1.parquet"


def test_row_groups_that_a_file_has_not_are_damage() -> None:
    row, objects = stored(programs(), 8, layout=Layout(3))
    (key,) = [key for key in objects.content if key.endswith(INDEX)]
    head, blobs = decode_index(key, objects.content[key])
    file = read_index(row, objects).families
    assert file is not None
    counts = head["row_groups"]["rows.parquet"]
    head["row_groups"]["rows.parquet"] = [counts[0] - 1, 1]
    with pytest.raises(DamagedBlockError, match=r"other row groups of rows\.parquet"):
        open_families(key.rpartition("/")[0], key, head, blobs)
    del head["row_groups"]  # as the first blocks of the format
    again = open_families(key.rpartition("/")[0], key, head, blobs)
    assert again.rows.bounds.tolist() == file.rows.bounds.tolist()
