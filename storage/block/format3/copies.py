"""Are a block's files as its index has copies of them? For who reads the files by themselves.

Others read streams and footers from the index alone, so that nothing else looks at these bytes.
"""

from storage.block.footer import DamagedBlockError
from storage.block.format3.index_object import decode_index
from storage.block.format3.opening import FILES, FOOTER
from storage.block.layout import INDEX, STREAMS
from storage.objects.base import ObjectStore


def check_copies(objects: ObjectStore, prefix: str) -> None:
    """Raises `DamagedBlockError` for streams or a footer that are not as the index has them."""
    key = f"{prefix}/{INDEX}"
    head, blobs = decode_index(key, objects.get(key))
    for name, (object_, offset, size) in head[FILES].items():
        whole, at = head["objects"][object_], f"{prefix}/{object_}"
        found = objects.size(at)
        if found != whole:
            raise DamagedBlockError(at, f"it has {found} bytes, and had {whole}")
        copy = blobs[STREAMS if name == STREAMS else FOOTER + name]
        start = offset + size - len(copy)
        if objects.get_ranges(at, [(start, len(copy))]) != [copy]:
            raise DamagedBlockError(at, f"{name} is not as the index says")
