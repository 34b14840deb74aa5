"""What does a block's manifest say? All that a row of the catalog needs, and where its rows were.

`replaces` and `journals` came later than format 2: a manifest without them says nothing of either.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from narfi.core.tenant import TenantId
from storage.block.footer import DamagedBlockError
from storage.block.format3.index_object import decode_index
from storage.block.layout import INDEX, MANIFEST, STREAMS
from storage.catalog.base import BlockRow
from storage.objects.base import ObjectMissingError, ObjectStore

NUMBERS = ("min_ts", "max_ts", "rows", "line_bytes", "level", "format_version", "created_ns")
TEXTS = ("block_id", "tenant", "cut_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest as it was read."""

    row: BlockRow
    objects: Mapping[str, int]  # name to size; the manifest is none of them
    crc32c: Mapping[str, int]  # name to checksum; empty in format 1
    footer_crc32c: Mapping[str, int]  # name of a Parquet file of entries to its footer's checksum
    bloom_crc32c: Mapping[str, Mapping[str, int]]  # name of a shape to those of its filters
    replaces: Sequence[str]  # ids of the blocks that it was made of
    journals: Mapping[str, int]  # journal id to the newest position whose records are in it

    @property
    def lacks_checks(self) -> bool:
        """Whether an object is without checksums; only format 1 may have none."""
        if self.row.format_version > 2:
            return self.crc32c.keys() < self.objects.keys()
        files = self.objects.keys() - {STREAMS}
        checked = self.crc32c.keys() >= self.objects.keys() and self.footer_crc32c.keys() >= files
        return self.row.format_version > 1 and not (checked and STREAMS in self.objects)


def read_manifest(objects: ObjectStore, folder: str) -> Manifest:
    """The manifest of a block's folder, from its index where it has one.

    Raises `DamagedBlockError` for one that cannot be, `ObjectMissingError` where there is none.
    """
    with contextlib.suppress(ObjectMissingError):
        return parse_manifest(f"{folder}/{INDEX}", objects.get(f"{folder}/{INDEX}"))
    return parse_manifest(f"{folder}/{MANIFEST}", objects.get(f"{folder}/{MANIFEST}"))


def parse_manifest(key: str, data: bytes) -> Manifest:
    """The manifest in these bytes; raises `DamagedBlockError`."""
    is_index = key.endswith(f"/{INDEX}")
    try:
        content = decode_index(key, data)[0] if is_index else orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DamagedBlockError(key, error) from error
    return manifest_in(key, content, len(data) if is_index else 0)


def manifest_in(key: str, content: object, index_bytes: int) -> Manifest:
    """The manifest in what was decoded of an object; `index_bytes`: its size, where an index.

    Raises `DamagedBlockError`.
    """
    if not isinstance(content, dict) or not _is_whole(content):
        raise DamagedBlockError(key, "it lacks what a manifest says, or says it in another way")
    return Manifest(
        row=_row(content, index_bytes),
        objects=content["objects"],
        crc32c=content.get("crc32c", {}),
        footer_crc32c=content.get("footer_crc32c", {}),
        bloom_crc32c=content.get("bloom_crc32c", {}),
        replaces=tuple(content.get("replaces", ())),
        journals=content.get("journals", {}),
    )


def _is_whole(content: dict[str, Any]) -> bool:
    replaces, blooms = content.get("replaces", []), content.get("bloom_crc32c", {})
    if not isinstance(blooms, dict):
        return False
    names = ("crc32c", "footer_crc32c", "journals")
    tables = (content.get("objects"), *(content.get(name, {}) for name in names), *blooms.values())
    return (
        all(type(content.get(name)) is int for name in NUMBERS)
        and all(isinstance(content.get(name), str) for name in TEXTS)
        and isinstance(replaces, list)
        and all(isinstance(block_id, str) for block_id in replaces)
        and all(
            isinstance(table, dict) and all(type(number) is int for number in table.values())
            for table in tables
        )
    )


def _row(content: dict[str, Any], index_bytes: int) -> BlockRow:
    return BlockRow(
        block_id=content["block_id"],
        tenant=TenantId(content["tenant"]),
        cut_id=content["cut_id"],
        min_ts=content["min_ts"],
        max_ts=content["max_ts"],
        rows=content["rows"],
        line_bytes=content["line_bytes"],
        stored_bytes=sum(content["objects"].values()) + index_bytes,
        level=content["level"],
        format_version=content["format_version"],
        created_ns=content["created_ns"],
    )
