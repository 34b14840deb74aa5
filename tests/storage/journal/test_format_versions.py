"""Are journals of released versions replayed for ever?"""

import shutil
from pathlib import Path

import google_crc32c
import pytest

from ingester.frames import decode_frame_body
from ingester.streams import StreamResolver
from narfi.core.limits import Limits
from storage.journal.base import Damage, JournalError, Record
from storage.journal.file import FileJournal
from storage.journal.segment import CHECKSUM, SEGMENT_HEADER

STORED = Path(__file__).parents[2] / "format_versions"


def test_version_1_is_replayed_and_gone_on_with(tmp_path: Path) -> None:
    """Three frames, a restart, one frame and a torn one: nobody was promised the last."""
    shutil.copytree(STORED / "journal-1", tmp_path / "journal")
    told: list[Damage] = []
    journal = FileJournal(tmp_path / "journal")
    frames = list(journal.replay(told.append))
    batches = [decode_frame_body(frame, Limits(), StreamResolver()) for frame in frames]
    lines = [line for batch in batches if batch.lines for line in batch.lines.spans().to_list()]
    assert lines == [b"level=info n=0", b"level=info n=1", b"level=info n=2", b"level=warn n=3"]
    assert [frame.position for frame in frames] == [1, 2, 3, 4]
    assert all(frame.tenant == "fake" and frame.decided == b"" for frame in frames)
    record = Record(
        tenant=frames[0].tenant, received_ns=1, codec=1, decided=b"", body=frames[0].body
    )
    assert journal.append(record) == 5
    journal.close()
    again = FileJournal(tmp_path / "journal")
    assert [frame.position for frame in again.replay(told.append)] == [1, 2, 3, 4, 5]
    again.close()
    assert told == []


def test_a_later_version_is_refused_by_name(tmp_path: Path) -> None:
    shutil.copytree(STORED / "journal-1", tmp_path / "journal")
    segment = min((tmp_path / "journal").glob("*.journal"))
    content = bytearray(segment.read_bytes()[: SEGMENT_HEADER.size])
    content[4] = 9
    segment.write_bytes(content + CHECKSUM.pack(google_crc32c.value(bytes(content))))
    with pytest.raises(JournalError, match="has journal format 9; this version reads 1 to 2"):
        FileJournal(tmp_path / "journal")
