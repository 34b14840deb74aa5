"""Is each line of files there once, equal ones as many as there are, after an end at any page?"""

import bz2
import gzip
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narfi.history.errors import SourceError
from narfi.history.files import content, file_source
from narfi.history.files.file_source import Family, FileSource
from narfi.history.files.folders import cri_families, docker_families, plain_files
from narfi.history.files.forms.jsonl import JsonLines
from narfi.history.files.forms.parts import CriLines
from narfi.history.files.forms.text import TextLines
from narfi.history.files.records import Names, Record
from narfi.history.importing import Importing
from narfi.history.page import COPY
from narfi.history.state import State
from tests.history.fake_target import FakeTarget
from tests.history.test_importing import WINDOW_NS
from tests.history.test_pushing import pusher_of
from tests.reference.budget import examples


class Enough(Exception):
    """The process ends here."""


def text_of(*paths: Path, join: bool = False) -> list[Family]:
    """Plain text."""
    form = partial(
        TextLines,
        {"job": "t"},
        layout="",
        location="",
        now=datetime(2025, 1, 1, tzinfo=UTC),
        join=join,
        name="file",
    )
    return [Family(group="text", files=[path], form=form) for path in paths]


def run(families: list[Family], state: Path, target: FakeTarget, pages: int = -1) -> None:
    """Import until an end, or until so many pages were pushed."""
    source = FileSource(families, "t")
    with closing(State(state, {})) as opened:
        importing = Importing(source, pusher_of(target), opened, window_ns=WINDOW_NS)
        importing._noted_at = -(10**9)  # each page is noted at once
        left = [pages]

        def told(_: str) -> None:
            importing._noted_at = -(10**9)
            left[0] -= 1
            if left[0] == 0:
                raise Enough

        try:
            importing.run(told)
        except Enough:
            return


def totals(state: Path) -> tuple[int, int, int]:
    """What the state counts."""
    with closing(State(state, {})) as opened:
        return opened.totals()


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of a few lines."""
    monkeypatch.setattr(file_source, "_PAGE_BYTES", 200)
    monkeypatch.setattr(file_source, "_MOST_PAGE_BYTES", 2000)


TIMES = st.sampled_from(
    ["2024-05-06T07:08:09Z ", "2024-05-06T07:08:09.5Z ", "2024-05-06T07:08:09.123456789Z ", ""]
)
WORDS = st.sampled_from(["same", "same", "other", "ünï", "", "a longer line of some words " * 3])
LINES = st.lists(st.tuples(TIMES, WORDS).map("".join), max_size=60)
ROOM = settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@ROOM
@given(lines=LINES, stops=st.lists(st.integers(1, 6), max_size=4), join=st.booleans())
def test_every_line_as_often_as_it_is_there(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], stops: list[int], join: bool
) -> None:
    folder = tmp_path_factory.mktemp("files")
    lines = ["2024-05-06T07:08:09Z first", *lines]
    path = folder / "log"
    path.write_text("\n".join(lines) + "\n")
    target = FakeTarget()
    for pages in [*stops, -1]:
        run(text_of(path, join=join), folder / "state", target, pages)
    if join:
        found = [one[3].decode() for one in target.order]
        assert "\n".join(found) == "\n".join(lines)
    else:
        assert Counter(one[3].decode() for one in target.order) == Counter(lines)
    assert totals(folder / "state")[0] == len(target.order), "counted once"
    fresh = FakeTarget()
    run(text_of(path, join=join), folder / "fresh", fresh)
    assert fresh.stored == target.stored, "the same at every reading"


def test_equal_lines_of_a_second_differ_by_their_place(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("2024-05-06T07:08:09Z x\n" * 2 + "2024-05-06T07:08:09.123Z x\n")
    target = FakeTarget()
    run(text_of(path), tmp_path / "state", target)
    base = int(datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC).timestamp()) * 10**9
    assert [one[2] - base for one in target.order] == [0, 23, 123_000_046]


def test_equal_lines_of_an_exact_time_are_numbered_over_an_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    line = '{"ts":"1700000000000000001","m":"' + "x" * 60 + '"}'
    path.write_text((line + "\n") * 12)
    families = [Family(group="j", files=[path], form=partial(JsonLines, Names(), {"job": "j"}))]
    target = FakeTarget()
    for pages in (1, 1, -1):
        run(families, tmp_path / "state", target, pages)
    copies = [dict(one[4]).get(COPY) for one in target.order]
    assert copies == [None, *map(str, range(2, 13))]
    assert totals(tmp_path / "state")[0] == 12


@pytest.mark.parametrize("kind", ["gz", "bz2", "zst"])
def test_compressed_files_are_what_they_hold(tmp_path: Path, kind: str) -> None:
    lines = [f"2024-05-06T07:08:{k % 60:02d}Z line {k}" for k in range(500)]
    data = ("\n".join(lines) + "\n").encode()
    packed = {
        "gz": gzip.compress(data),
        "bz2": bz2.compress(data),
        "zst": pyarrow.compress(data, codec="zstd", asbytes=True),
    }[kind]
    plain, path = tmp_path / "log", tmp_path / f"log.{kind}"
    plain.write_bytes(data)
    target = FakeTarget()
    run(text_of(plain), tmp_path / "state", target, 5)
    assert 0 < len(target.order) < 500
    plain.unlink()
    path.write_bytes(packed)  # it was rotated and compressed meanwhile
    run(text_of(path), tmp_path / "state", target, 5)
    run(text_of(path), tmp_path / "state", target)
    assert [one[3].decode() for one in target.order] == lines
    assert totals(tmp_path / "state")[0] == 500
    pushes = target.pushes
    run(text_of(path), tmp_path / "state", target)
    assert target.pushes == pushes, "a file that is done is not read again"


def test_a_line_that_is_too_long_is_refused_and_the_others_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "MAX_LINE_BYTES", 1000)
    lines = [f"2024-05-06T07:08:{k:02d}Z " + "x" * (5000 if k % 20 == 7 else 50) for k in range(60)]
    path = tmp_path / "log"
    path.write_text("\n".join(lines) + "\n")
    target = FakeTarget()
    for pages in (3, 3, 3, -1):
        run(text_of(path), tmp_path / "state", target, pages)
    assert [one[3].decode() for one in target.order] == [line for line in lines if len(line) < 1000]
    assert totals(tmp_path / "state")[2] == 3
    with closing(State(tmp_path / "state", {})) as state:
        reasons = [one.reason for one in state.refused()]
    assert [one.rpartition(": ")[2] for one in reasons] == ["a line of 5022 bytes"] * 3


LINES_OF_MANY = 6_000


def numbered(count: int) -> bytes:
    """Lines of which no two are equal."""
    start = datetime(2024, 5, 6, tzinfo=UTC)
    times = (start + timedelta(milliseconds=one) for one in range(count))
    return b"".join(b"%s line %d\n" % (t.isoformat().encode(), n) for n, t in enumerate(times))


def compressed(kind: str, data: bytes) -> bytes:
    """As that kind has it."""
    if kind == "zst":
        return bytes(pyarrow.compress(data, codec="zstd", asbytes=True))
    return gzip.compress(data) if kind == "gz" else bz2.compress(data)


@pytest.mark.parametrize("kind", ["gz", "bz2", "zst"])
@pytest.mark.parametrize("how", ["cut", "changed", "cut in its first bytes"])
def test_a_damaged_file_is_read_up_to_there_and_the_others_whole(
    tmp_path: Path, kind: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_source, "_PAGE_BYTES", 20_000)
    monkeypatch.setattr(file_source, "_MOST_PAGE_BYTES", 200_000)
    whole = numbered(LINES_OF_MANY)
    data = bytearray(compressed(kind, whole))
    if how == "changed":
        data[len(data) // 2] ^= 0xFF
    else:
        del data[len(data) // 2 if how == "cut" else 30 :]
    damaged, sound = tmp_path / f"log.{kind}", tmp_path / "sound"
    damaged.write_bytes(data)
    sound.write_text("2025-05-06T07:08:09Z x\n")
    target, state = FakeTarget(), tmp_path / "state"
    families = text_of(damaged, sound)
    run(families, state, target)
    there = [one[3] for one in target.order if one[3] != b"2025-05-06T07:08:09Z x"]
    assert len(target.order) == len(there) + 1, "the other file is there"
    with closing(State(state, {})) as opened:
        (told,) = opened.refused()
    assert f"log.{kind}, byte " in told.reason
    assert "the file is damaged" in told.reason
    if how == "changed":
        assert "lines before it may be wrong too" in told.reason or kind == "zst"
        return
    assert there == whole.splitlines()[: len(there)], "no half line"
    assert len(there) < LINES_OF_MANY
    assert (kind, how, bool(there)) != ("gz", "cut", False)
    run(families, state, target)
    assert totals(state) == (len(there) + 1, *totals(state)[1:2], 1), "told once"
    damaged.write_bytes(compressed(kind, whole))
    run(families, state, target)
    assert totals(state)[0] == LINES_OF_MANY + 1, "mended, it goes on where it ended"
    assert Counter(target.order).most_common(1)[0][1] == 1


def test_a_file_that_grew_goes_on_and_one_that_was_written_anew_is_another(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("2024-05-06T07:08:09Z one\n")
    target = FakeTarget()
    run(text_of(path), tmp_path / "state", target)
    with path.open("a") as file:
        file.write("2024-05-06T07:08:09Z two\n")
    run(text_of(path), tmp_path / "state", target)
    assert totals(tmp_path / "state")[0] == 2
    path.write_text("2024-05-06T07:08:09Z anew\n")
    run(text_of(path), tmp_path / "state", target)
    assert [one[3][21:] for one in target.order] == [b"one", b"two", b"anew"]
    assert totals(tmp_path / "state")[0] == 3


def test_two_files_with_the_same_beginning(tmp_path: Path) -> None:
    head = "".join(f"2024-05-06T07:08:09Z the same beginning {k}\n" for k in range(20))
    for name in ("a", "b"):
        (tmp_path / name).write_text(head + f"2024-05-06T07:08:09Z end of {name}\n")
    target = FakeTarget()
    families = text_of(tmp_path / "a", tmp_path / "b")
    run(families, tmp_path / "state", target, 1)
    run(families, tmp_path / "state", target)
    ends = {one[3][21:] for one in target.order}
    assert {b"end of a", b"end of b"} <= ends


@ROOM
@given(
    parts=st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr"]), st.sampled_from("PF"), WORDS), max_size=60
    ),
    cut=st.integers(0, 60),
    stops=st.lists(st.integers(1, 5), max_size=3),
)
def test_rotated_files_with_lines_in_parts(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[tuple[str, str, str]],
    cut: int,
    stops: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("cri")
    lines = [
        f"2024-05-06T07:08:09.{k // 3:09d}Z {stream} {flag} {word}"
        for k, (stream, flag, word) in enumerate(parts)
    ]
    files = [folder / "0.log.20240506-070809", folder / "0.log"]
    for path, some in zip(files, (lines[:cut], lines[cut:]), strict=True):
        path.write_text("".join(line + "\n" for line in some))
    families = [Family(group="c", files=files, form=partial(CriLines, {"c": "x"}))]
    target = FakeTarget()
    for pages in [*stops, -1]:
        run(families, folder / "state", target, pages)
    whole: Counter[tuple[str, str]] = Counter()
    held = {"stdout": "", "stderr": ""}
    begun: set[str] = set()
    for stream, flag, word in parts:
        held[stream] += word
        begun.add(stream)
        if flag == "F":
            whole[stream, held[stream]] += 1
            held[stream] = ""
            begun.discard(stream)
    whole.update((stream, held[stream]) for stream in begun)
    found = Counter(
        ("stdout" if "stdout" in labels else "stderr", line.decode())
        for _, labels, _, line, _ in target.order
    )
    assert found == whole
    assert totals(folder / "state")[0] == sum(whole.values())


def test_folders_of_pods(tmp_path: Path) -> None:
    container = tmp_path / "pods" / "shop_api-7c9d-x_uid-1" / "web"
    container.mkdir(parents=True)
    names = ["1.log", "0.log", "0.log.20240102-000000.gz", "0.log.20240101-000000.gz", "other.txt"]
    for name in names:
        (container / name).write_bytes(b"x")
    (family,) = cri_families(tmp_path / "pods", {"cluster": "c"})
    order = ["0.log.20240101-000000.gz", "0.log.20240102-000000.gz", "0.log", "1.log"]
    assert [path.name for path in family.files] == order
    (found,) = family.form().take(b"2024-05-06T07:08:09Z stdout F x", (0, 0))
    assert isinstance(found, Record)
    assert dict(found.labels) == {
        "cluster": "c",
        "namespace": "shop",
        "container": "web",
        "stream": "stdout",
    }
    assert found.metadata == (("pod", "api-7c9d-x"),)


def test_folders_of_docker(tmp_path: Path) -> None:
    identity = "0123456789abcdef"
    container = tmp_path / identity
    container.mkdir()
    for name in ("", ".1", ".2.gz", ".10"):
        (container / f"{identity}-json.log{name}").write_bytes(b"x")
    (container / "config.v2.json").write_text('{"Name":"/shop-web-1"}')
    (family,) = docker_families(tmp_path, {})
    order = [path.name.removeprefix(f"{identity}-json.log") for path in family.files]
    assert order == [".10", ".2.gz", ".1", ""]
    line = b'{"log":"x\\n","stream":"stderr","time":"2024-05-06T07:08:09.1Z"}'
    (found,) = family.form().take(line, (0, 0))
    assert isinstance(found, Record)
    assert dict(found.labels) == {"container": "shop-web-1", "stream": "stderr"}


def test_about_when_a_file_begins(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("2024-05-06T07:08:09Z one\n2024-05-05T00:00:00Z two\n")
    (family,) = text_of(path)
    begin = int(datetime(2024, 5, 5, tzinfo=UTC).timestamp()) * 10**9
    assert file_source.first_time(family) == begin
    assert file_source.first_time(text_of(path, join=True)[0]) == begin
    path.write_text("no time\n")
    assert file_source.first_time(family) == path.stat().st_mtime_ns
    path.unlink()
    assert file_source.first_time(family) == 0, "rotated away"


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no file"):
        plain_files([tmp_path / "none"])
    with pytest.raises(SourceError, match="no files in"):
        plain_files([tmp_path])
