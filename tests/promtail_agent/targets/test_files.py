"""Which files are read, as targets, links and permissions are? Globs too."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from promtail_agent.agent import Agent
from promtail_agent.discovery.base import Target
from promtail_agent.entry import LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import PositionLedger
from promtail_agent.targets.files import FileJob, FileSource, file_target
from promtail_agent.targets.globbing import expand_braces, find_files, matches_pattern
from promtail_agent.targets.reader import FileReader
from promtail_agent.targets.watch import FileWatch

Eventually = Callable[..., None]


class Given:
    """A discovery whose targets a test sets."""

    def __init__(self, *targets: Target) -> None:
        self.now: Sequence[Target] = targets

    def start(self) -> None:
        """Nothing to begin."""

    def targets(self) -> Sequence[Target]:
        return self.now

    def close(self) -> None:
        """Nothing to end."""


def source_of(*discoveries: Given) -> tuple[FileSource, AgentMetrics]:
    """The files of a job."""
    metrics = AgentMetrics()
    ledger = PositionLedger(Path("/dev/null"), 1, {})
    return FileSource(
        FileJob(name="j", rules=(), discoveries=discoveries), ledger, metrics
    ), metrics


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.log", {"a.log", "b.log", ".hidden.log"}),
        ("?.log", {"a.log", "b.log"}),
        ("[a].log", {"a.log"}),
        ("[^a].log", {"b.log"}),
        ("{a,b}.log", {"a.log", "b.log"}),
        ("{a,d/{e,f}}.log", {"a.log", "d/e.log"}),
        ("**/*.log", {"a.log", "b.log", ".hidden.log", "d/e.log", "d/g/h.log"}),
        ("d/**/h.log", {"d/g/h.log"}),
        ("odd[1].log", {"odd[1].log"}),  # a literal path that exists
        ("d", set()),
        ("none*", set()),
    ],
)
def test_globs(tmp_path: Path, pattern: str, expected: set[str]) -> None:
    for name in ("a.log", "b.log", ".hidden.log", "d/e.log", "d/g/h.log", "odd[1].log", "x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    if "odd" not in pattern:
        (tmp_path / "odd[1].log").unlink()
    found = find_files(f"{tmp_path}/{pattern}")
    assert found == {f"{tmp_path}/{name}" for name in expected}
    if "odd" not in pattern:
        assert all(matches_pattern(path, f"{tmp_path}/{pattern}") for path in found)


def test_excluded_files(tmp_path: Path) -> None:
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text("")
    found = find_files(f"{tmp_path}/*.log", f"{tmp_path}/b*")
    assert found == {f"{tmp_path}/a.log"}
    assert not matches_pattern(f"{tmp_path}/b.log", f"{tmp_path}/*.log", f"{tmp_path}/b*")
    assert len(expand_braces("{a,b}" * 20)) == 256


def test_a_folder_that_must_not_be_entered_is_as_if_empty(tmp_path: Path) -> None:
    """As another user, since root may enter all: in a process of its own."""
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "a.log").write_text("")
    for parent in (tmp_path, *tmp_path.parents[:-1]):
        parent.chmod(parent.stat().st_mode | 0o055)
    folder.chmod(0o744)  # its names can be listed, its files not be looked at
    pid = os.fork()
    if pid == 0:
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            patterns = (f"{folder}/*.log", f"{folder}/a.log")
            os._exit(1 if any(find_files(p) for p in patterns) else 0)
        except BaseException:  # noqa: BLE001  the child must end here
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_links_as_in_var_log_containers(
    server: Any, agent_yaml: Callable[..., Path], start_agent: Callable[[Path], Agent],
    container_log: Path, append: Callable[..., None], eventually: Eventually, tmp_path: Path,
) -> None:  # fmt: skip
    """A link to a link to the file; rotated where the file is, and turned to the next container."""
    links = tmp_path / "containers"
    links.mkdir()
    middle, link = tmp_path / "middle.log", links / "api_shop_main-0a1b.log"
    middle.symlink_to(container_log)
    link.symlink_to(middle)
    append(container_log, "one")
    file = agent_yaml()
    file.write_text(file.read_text().replace(f"{tmp_path}/pods/*/*/*.log", f"{links}/*.log"))
    start_agent(file)
    eventually(lambda: server.lines() == ["one"])
    assert f'filename="{link}"' in server.entries[0][0]
    append(container_log, "two")
    container_log.rename(container_log.with_name("0.log.20250101-000000"))
    append(container_log, "three")
    eventually(lambda: server.lines() == ["one", "two", "three"])
    following = container_log.with_name("1.log")
    append(container_log, "last of the first")
    append(following, "four")
    middle.unlink()
    middle.symlink_to(following)
    eventually(lambda: server.lines()[3:] == ["last of the first", "four"])


def test_targets_that_are_left_out_have_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSTNAME", "node-1")
    path = {"__path__": f"{tmp_path}/*.log"}
    given = Given(
        {**path, "job": "a"},
        {**path, "job": "a", "__meta_x": "another pod, the same files and labels"},
        {"job": "no path"},
        {**path, "__host__": "node-2"},
        {**path, "__host__": "node-1", "job": "b"},
    )
    source, metrics = source_of(given)
    list(source.rescan(0.0))
    assert [dict(t.labels)["job"] for t in source.targets] == ["a", "b"]
    assert metrics.targets_failed == {"exists": 1, "no_path": 1, "wrong_host": 1}
    assert [d.reason for d in source.dropped] == ["exists", "no_path", "wrong_host"]
    assert file_target({**path, "__host__": "node-2"}, ()) == (None, "wrong_host")


def test_a_target_that_goes_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod is deleted: its last lines come after it is gone from the API."""
    monkeypatch.setattr("promtail_agent.targets.files.LEFT_AFTER_S", 5.0)
    file = tmp_path / "0.log"
    file.write_text("one\n")
    given = Given({"__path__": str(file), "pod": "p"})
    source, metrics = source_of(given)
    assert list(source.rescan(0.0)) == []
    (reader,) = source.readers()
    assert reader.read(0.0) is not None
    given.now = []
    assert list(source.rescan(1.0)) == []
    with file.open("a") as out:
        out.write("last words\n")
    chunk = reader.read(4.0)
    assert chunk is not None
    assert chunk.lines == [b"last words"]
    assert list(source.rescan(8.0)) == []
    assert metrics.read_lines[str(file)] == 2
    assert list(source.rescan(10.0)) == [reader]
    assert source.readers() == []
    assert str(file) not in metrics.read_lines  # series of closed files do not pile up


def test_new_labels_of_a_target_keep_its_place(tmp_path: Path) -> None:
    file = tmp_path / "0.log"
    file.write_text("one\n")
    given = Given({"__path__": str(file), "version": "1"})
    source, _ = source_of(given)
    list(source.rescan(0.0))
    (reader,) = source.readers()
    assert reader.read(0.0) is not None
    given.now = [{"__path__": str(file), "version": "2"}]
    list(source.rescan(1.0))
    assert source.readers() == [reader]
    assert reader.labels.values["version"] == "2"
    assert reader.read(1.0) is None


def test_how_far_behind_is_shown(tmp_path: Path) -> None:
    """file_bytes less read_bytes is what is not read yet, also after a rotation."""
    file = tmp_path / "0.log"
    file.write_text("one\ntwo\nhalf")
    metrics = AgentMetrics()
    reader = FileReader(path=str(file), labels=LabelSet({}), start=None, metrics=metrics)
    assert metrics.file_bytes[str(file)] == 12
    assert reader.read(0.0) is not None
    assert metrics.read_bytes[str(file)] == 8
    file.rename(tmp_path / "0.log.1")
    file.write_text("new\n")
    now_s = 1.0
    while (chunk := reader.read(now_s)) is None or chunk.lines != [b"new"]:
        now_s += 1.0
        assert now_s < 20
    assert (metrics.read_bytes[str(file)], metrics.file_bytes[str(file)]) == (4, 4)
    reader.close()


def test_a_failing_disk_is_logged_once_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault: reading fails, until it does not."""
    file = tmp_path / "0.log"
    file.write_text("one\n")
    reader = FileReader(path=str(file), labels=LabelSet({}), start=None, metrics=AgentMetrics())
    plain, fails = os.pread, [3]

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        if fails[0]:
            fails[0] -= 1
            raise OSError(5, "Input/output error")
        return plain(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    for _ in range(3):
        assert reader.read(0.0) is None
    assert caplog.text.count("cannot read file") == 1
    chunk = reader.read(0.0)
    assert chunk is not None
    assert chunk.lines == [b"one"]
    reader.close()


# Being told of changes


def test_changes_are_told_without_polling(tmp_path: Path, eventually: Eventually) -> None:
    file = tmp_path / "a.log"
    file.write_text("")
    wake = threading.Event()
    watch = FileWatch(wake)
    watch.follow([str(file)], [f"{tmp_path}/*.log"])
    try:
        seen: set[str] = set()

        def told(path: Path) -> bool:
            with path.open("a") as out:
                out.write("x\n")
            time.sleep(0.1)
            seen.update(watch.changed())
            return str(path) in seen

        eventually(lambda: told(file))
        assert wake.is_set()
        eventually(lambda: told(tmp_path / "new.log"))
    finally:
        watch.close()


def test_a_folder_that_goes_does_not_end_watching(
    tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault: a pod's folder is removed between two looks; the next search watches again."""
    import watchfiles

    plain, fails = watchfiles.watch, [1]

    def watch(*paths: str, **settings: Any) -> Any:
        if fails[0]:
            fails[0] -= 1
            raise FileNotFoundError(2, "No such file or directory")
        return plain(*paths, **settings)

    monkeypatch.setattr(watchfiles, "watch", watch)
    file = tmp_path / "a.log"
    file.write_text("")
    found = FileWatch(threading.Event())
    try:
        found.follow([str(file)], [])
        eventually(lambda: not found._folders)
        assert found.works
        seen: set[str] = set()

        def told() -> bool:
            found.follow([str(file)], [])
            with file.open("a") as out:
                out.write("x\n")
            time.sleep(0.1)
            seen.update(found.changed())
            return str(file) in seen

        eventually(told)
    finally:
        found.close()


def test_where_watching_fails_polling_does_it(
    server: Any, agent_yaml: Callable[..., Path], start_agent: Callable[[Path], Agent],
    container_log: Path, append: Callable[..., None], eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """A fault: the system has no watches left."""
    import watchfiles

    def fails(*_paths: str, **_settings: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watchfiles, "watch", fails)
    monkeypatch.setattr("promtail_agent.reading.LOOK_EVERY_S", 3600.0)  # as where watching works
    append(container_log, "one")
    start_agent(agent_yaml())
    eventually(lambda: server.lines() == ["one"])
    eventually(lambda: "polling instead" in caplog.text)
    for number in range(5):
        append(container_log, str(number))
        eventually(lambda number=number: str(number) in server.lines())


def test_a_busy_file_of_nobody_costs_no_search(
    server: Any, agent_yaml: Callable[..., Path], start_agent: Callable[[Path], Agent],
    container_log: Path, append: Callable[..., None], eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    searches = 0
    plain = FileSource.rescan

    def rescan(self: FileSource, now_s: float) -> Any:
        nonlocal searches
        searches += 1
        return plain(self, now_s)

    monkeypatch.setattr(FileSource, "rescan", rescan)
    monkeypatch.setattr("promtail_agent.reading.NEW_FILES_EVERY_S", 2.0)
    append(container_log, "one")
    file = agent_yaml()
    file.write_text(file.read_text().replace("target_config: {sync_period: 100ms}", ""))
    start_agent(file)
    eventually(lambda: server.lines() == ["one"])
    stranger = container_log.with_name("noise.txt")
    searches, begin_s = 0, time.monotonic()
    for number in range(75):
        stranger.write_text(str(number))
        time.sleep(0.02)
    assert searches <= 3 + (time.monotonic() - begin_s) / 2


def test_a_file_that_cannot_be_opened_yet_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault: no file descriptors are left for a while, after a restart."""
    file = tmp_path / "0.log"
    file.write_text("one\ntwo\n")
    first = FileReader(path=str(file), labels=LabelSet({}), start=None, metrics=AgentMetrics())
    assert first.read(0.0) is not None
    saved = first.current_position()
    with file.open("a") as out:
        out.write("three\n")
    plain, fails = os.open, [3]

    def fail(path: str, *arguments: Any) -> int:
        if fails[0] and path == str(file):
            fails[0] -= 1
            raise OSError(24, "Too many open files")
        return plain(path, *arguments)

    monkeypatch.setattr(os, "open", fail)
    reader = FileReader(path=str(file), labels=LabelSet({}), start=saved, metrics=AgentMetrics())
    for now_s in range(3):
        chunk = reader.read(float(now_s))
    assert caplog.text.count("cannot open file") == 1
    assert "rotated content not found" not in caplog.text
    chunk = chunk or reader.read(5.0)
    assert chunk is not None
    assert chunk.lines == [b"three"]
    first.close()
    reader.close()


def test_names_that_are_not_utf8(
    server: Any, agent_yaml: Callable[..., Path], start_agent: Callable[[Path], Agent],
    container_log: Path, append: Callable[..., None], eventually: Eventually,
) -> None:  # fmt: skip
    odd = container_log.with_name("\udcff.log")
    append(odd, "one")
    file = agent_yaml()
    agent = start_agent(file)
    eventually(lambda: server.lines() == ["one"])
    agent.stop()
    append(odd, "two")
    agent = start_agent(file)
    eventually(lambda: server.lines() == ["one", "two"])
    assert agent.failure is None
