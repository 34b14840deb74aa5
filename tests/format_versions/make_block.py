"""Writes the stored block of the current format version: run once when a version is made.

`python -m tests.format_versions.make_block` writes tests/format_versions/block-<version>/.
"""

from pathlib import Path

from narfi.core.tenant import TenantId
from storage.block.layout import FORMAT_VERSION
from storage.block.writer import BlockIdentity, write_block
from storage.objects.filesystem import LocalObjects
from storage.sorting import merge_batches
from tests.storage.batches import Entry, batch_of

HERE = Path(__file__).parent
ENTRIES: list[Entry] = [
    ("api", 1_700_000_000_000_000_000 + k, b'{"level":"info","n":%d}' % k, {"trace": f"{k:04x}"})
    for k in range(50)
] + [
    ("web", 1_700_000_000_000_000_000, b"", {}),
    ("web", 1_700_000_000_000_000_001, "é ü\x00".encode(), {"level": "warn", "x": ""}),
    ("web", 1_700_000_000_000_000_002, b"\xff\xfe not text", {}),
]


def main() -> None:
    """Write the block."""
    folder = HERE / f"block-{FORMAT_VERSION}"
    identity = BlockIdentity("stored", TenantId("t"), "cut", 0, 1_700_000_000_000_000_000)
    row = write_block(merge_batches([batch_of(ENTRIES)]), identity, LocalObjects(folder))
    print(row)


if __name__ == "__main__":
    main()
