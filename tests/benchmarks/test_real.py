"""Does the benchmark over given logs push every line once and read it back?"""

import gzip
from pathlib import Path

from benchmarks.real import formats_of, measure, pushed

LINES = [b"request %d served in %d ms" % (k, k % 7) for k in range(3000)]
ODD = [b"", b"\xff\xfe", *(b"line %d" % k for k in range(50))]


def test_all_lines_of_all_formats_are_pushed(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_bytes(b"\n".join(LINES))
    (tmp_path / "odd.log.gz").write_bytes(gzip.compress(b"\n".join(ODD)))
    (tmp_path / "README.md").write_text("not a log")
    formats = formats_of([tmp_path])
    assert formats == {"odd": ODD, "web": LINES}
    cost = measure("both", pushed(formats), 30_000)
    assert cost.lines == len(LINES) + len(ODD)
    assert cost.mb == round(sum(map(len, LINES + ODD)) / 1e6, 2)
    assert 0 < cost.plain_percent < 100
    assert len(cost.flushes) >= 1
