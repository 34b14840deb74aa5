"""Are journals of released versions replayed for ever?"""

import shutil
from pathlib import Path

import google_crc32c
import pytest

from ingester.records import decode_record_body
from ingester.streams import StreamResolver
from narfi.core.limits import Limits
from storage.journal.base import Damage, JournalError, Record
from storage.journal.file import FileJournal
from storage.journal.segment import CHECKSUM, SEGMENT_HEADER

STORED = Path(__file__).parents[2] / "format_versions"


def test_version_1_is_replayed_and_gone_on_with(tmp_path: Path) -> None:
    """Three records, a restart, one record and a torn one: nobody was promised the last."""
    shutil.copytree(STORED / "journal-1", tmp_path / "journal")
    told: list[Damage] = []
    journal = FileJournal(tmp_path / "journal")
    records = list(journal.replay(told.append))
    batches = [decode_record_body(record, Limits(), StreamResolver()) for record in records]
    lines = [line for batch in batches if batch.lines for line in batch.lines.spans().to_list()]
    assert lines == [b"level=info n=0", b"level=info n=1", b"level=info n=2", b"level=warn n=3"]
    assert [record.position for record in records] == [1, 2, 3, 4]
    assert all(record.tenant == "fake" and record.decided == b"" for record in records)
    record = Record(
        tenant=records[0].tenant, received_ns=1, codec=1, decided=b"", body=records[0].body
    )
    assert journal.append(record) == 5
    journal.close()
    again = FileJournal(tmp_path / "journal")
    assert [record.position for record in again.replay(told.append)] == [1, 2, 3, 4, 5]
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
