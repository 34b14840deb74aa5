"""Writes the stored block of the current format version: run once when a version is made.

`python -m tests.format_versions.make_block` writes tests/format_versions/block-<version>/.
"""

from pathlib import Path

from narfi.core.tenant import TenantId
from storage.block.identity import BlockIdentity, Layout
from storage.block.layout import NEWEST_VERSION
from storage.block.writer import write_run
from storage.objects.filesystem import LocalObjects
from storage.sorting import merge_batches
from tests.storage.batches import Entry, batch_of

START = 1_700_000_000_000_000_100


def _json(k: int) -> bytes:
    text = (
        '{"ts":%d,"path":"/api/v%d/users/%d","price":%.1f,"note":"n\\"%d","ok":%s,"list":[%d],'
        '"id":"%016x","uuid":"%08x-0000-4000-8000-%012x"}'
    )
    ok = ("true", "false", "null")[k % 3]
    return (text % (START + k, k % 2, k * 7, k / 4, k, ok, k, k * 977, k, k * k)).encode()


def _logfmt(k: int) -> bytes:
    return f'level=info dur={k * 13}ms size={k * 101}B msg="a b {k % 5}" pad={k:05d}'.encode()


def _access(k: int) -> bytes:
    address = f"10.0.{k % 250}.{k % 251}"
    request = f'"GET /x/{k} HTTP/1.1" 200 {k * 9}'
    return f"{address} - - [24/Nov/2026:09:{k % 60:02d}:00 +0000] {request}".encode()


def _text(k: int) -> bytes:
    word = f"\u00e9{'z' * (k % 7)}{k}x"
    return f"2026-11-24 09:00:{k % 60:02d},{k:03d} INFO free text {word} number {k - 20}".encode()


HERE = Path(__file__).parent
ENTRIES: list[Entry] = [
    ("api", 1_700_000_000_000_000_000 + k, b'{"level":"info","n":%d}' % k, {"trace": f"{k:04x}"})
    for k in range(50)
] + [
    ("web", 1_700_000_000_000_000_000, b"", {}),
    ("web", 1_700_000_000_000_000_001, "é ü\x00".encode(), {"level": "warn", "x": ""}),
    ("web", 1_700_000_000_000_000_002, b"\xff\xfe not text", {}),
]
MORE: list[Entry] = [
    entry
    for k in range(300)
    for entry in (
        ("api", START + k, _json(k), {"level": "info"}),
        ("log", START + k, _logfmt(k), {}),
        ("web", START + k, _access(k), {"trace": f"{k:04x}"} if k % 3 else {}),
        ("java", START + k, _text(k), {}),
    )
]
"""Since version 2: lines that have shapes, with every kind of hole."""
EXPECTED = {1: ENTRIES, 2: ENTRIES + MORE, 3: ENTRIES + MORE}
MIN_LINES = 8


def main() -> None:
    """Write the block."""
    folder = HERE / f"block-{NEWEST_VERSION}"
    identity = BlockIdentity(
        block_id="stored",
        tenant=TenantId("t"),
        cut_id="cut",
        level=0,
        created_ns=1_700_000_000_000_000_000,
    )
    entries = EXPECTED[NEWEST_VERSION]
    run, layout = merge_batches([batch_of(entries)]), Layout(NEWEST_VERSION)
    row = write_run(run, identity, LocalObjects(folder), MIN_LINES, layout=layout)
    print(row)


if __name__ == "__main__":
    main()
