"""Is a file that is a part of an object read as one of its own?"""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.block.format3.parquet import window


def written() -> bytes:
    """A small file."""
    out = io.BytesIO()
    pq.write_table(pa.table({"a": list(range(1000))}), out)
    return out.getvalue()


def test_a_window_is_a_file(tmp_path: Path) -> None:
    file = written()
    path = tmp_path / "data"
    path.write_bytes(b"before" + file + b"behind")
    part = window(pa.memory_map(str(path)), 6, len(file))
    assert part.size() == len(file)
    assert part.read() == file
    part.seek(2)
    assert part.read(3) == file[2:5]
    assert pq.read_table(part).column("a").to_pylist() == list(range(1000))
