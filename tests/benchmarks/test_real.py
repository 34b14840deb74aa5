"""Does the benchmark over given logs push every line once and read it back?"""

import gzip
from pathlib import Path

from benchmarks.real import START_NS, Load, formats_of, measure, pushed
from benchmarks.real_queries import COPY_NS, Asked, questions, sent, table, with_needle
from benchmarks.real_queries import measure as measure_questions

LINES = [b"request %d was served by the shop in %d ms" % (k, k % 7) for k in range(8000)]
ODD = [b"", b"\xff\xfe", *(b"line %d" % k for k in range(50))]


def test_all_lines_of_all_formats_are_pushed(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_bytes(b"\n".join(LINES))
    (tmp_path / "odd.log.gz").write_bytes(gzip.compress(b"\n".join(ODD)))
    (tmp_path / "README.md").write_text("not a log")
    formats = formats_of([tmp_path])
    assert formats == {"odd": ODD, "web": LINES}
    cost = measure("both", pushed(formats), 300_000, merge=True)
    assert cost.lines == len(LINES) + len(ODD)
    assert cost.mb == round(sum(map(len, LINES + ODD)) / 1e6, 2)
    assert 0 < cost.plain_percent < 100
    assert len(cost.flushes) >= 1
    assert 0 < cost.merged_times_kb < cost.merged_kb
    assert cost.merge_ms_per_mb > 0
    assert measure("both", pushed(formats), 30_000).merged_kb == 0


def test_every_kind_of_question_is_asked(tmp_path: Path) -> None:
    load = Load(str(tmp_path), 30_000, 1 << 20)
    apps = {question.app for question in questions() if question.app}
    lines = [b'{"status":%d,"took":%d}' % (200 + k % 3, k) for k in range(200)]
    formats = with_needle({**dict.fromkeys(sorted(apps), lines), "plain": LINES})
    load.take(sent(formats, 1))
    asked = Asked(load, START_NS + COPY_NS)
    try:
        found = measure_questions(asked, questions(), 1)
    finally:
        asked.close()
    assert len(found) == len(questions()) >= 27
    assert found["needle absent"].items == 0
    assert found["needle once"].items == 1
    assert found["last 100"].items == 100
    before = {name: {"cpu_ms": 2 * spent.cpu_ms, "items": 3} for name, spent in found.items()}
    assert "| geometric mean | | | | 2.00 |" in table(found, before)
    assert "(3 found!)" in table(found, before)
