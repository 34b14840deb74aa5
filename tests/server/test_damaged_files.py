"""Is every kind of damage of every file reported and isolated, and the rest answered?

No start hangs or ends in a traceback; no answer is short without a word.
"""

import random
import re
import shutil
import threading
import time
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from narfi.core.errors import AppError
from narfi.core.matchers import Matcher, MatchOp
from narfi.server.readiness import Readiness
from narfi.server.reload import unloaded
from narfi.server.state import state_of
from narfi.server.wiring import Server
from querier.budget import Budget
from querier.service import TimeRange
from storage.catalog.sql import SqlCatalog
from storage.vault.data_dir import DataDir
from storage.vault.report import Problem
from storage.vault.verify import verify
from tests.server.damaged_folder import (
    ALPHA,
    DAMAGES,
    LINES,
    Probe,
    ask,
    blocks,
    files,
    like,
    make,
    probes,
    push,
    served,
)

NOW_NS = time.time_ns()
HANGS_S = 120
CATALOG_BYTES, ROW_BYTES = 15, 120
NAMED = ("first", "middle", "last")  # bytes
BYTES = tuple(f"{where} byte" for where in NAMED)
STRANGE = ("folder", "fifo", "unreadable")

REFUSED = "refused"
"""The start says which file, and what to do."""
HARMLESS = "harmless"
"""Everything is there."""
LEFT_OUT = "left out"
"""Queries that could need the block warn of it, and go on without it; all others are as before."""


def lost(probe: str) -> str:
    """A loss is told, answers of its time warn; all else is there."""
    return f"lost {probe}"


def outcomes(otherwise: str, **groups: tuple[str, ...]) -> dict[str, str]:
    """The outcome of each damage; `otherwise` of those that are not named."""
    named = {damage: outcome for outcome, some in groups.items() for damage in some}
    return {damage: named.get(damage, otherwise) for damage in DAMAGES}


SEGMENT = {"refused": STRANGE, "harmless": ("first byte", "appended")}
BLOCK_FILE = outcomes(LEFT_OUT, harmless=("first byte",))
FAMILY_FILE = outcomes(LEFT_OUT, harmless=("first byte", "last byte"))
"""Its footer is in the index, and nobody reads the one at its end."""

EXPECTED: dict[str, dict[str, str]] = {  # by file
    "first segment": outcomes(lost("first"), **SEGMENT),
    "middle segment": outcomes(lost("third"), **SEGMENT),
    "last segment": outcomes(lost("last"), **SEGMENT),
    "id": outcomes(REFUSED),
    "mark": outcomes(HARMLESS, refused=STRANGE),
    "lock": outcomes(HARMLESS, refused=("folder", "unreadable")),
    # both bytes lie in what its pages do not use; test_any_byte_of_the_catalog looks everywhere
    "catalog.db": outcomes(REFUSED, harmless=("middle byte", "last byte", "appended")),
    "catalog.db-wal": outcomes(REFUSED, harmless=("appended",)),
    "catalog.db-shm": outcomes(HARMLESS, refused=STRANGE),
}
BLOCKS: dict[int, dict[str, dict[str, str]]] = {  # by format and file
    2: {
        "manifest": outcomes(LEFT_OUT),
        "streams": outcomes(LEFT_OUT),
        "lines": BLOCK_FILE,
        "shape": BLOCK_FILE,
    },
    3: {
        "index": outcomes(LEFT_OUT),
        "streams": outcomes(HARMLESS),  # a copy for others; the index has it
        # in its middle are streams, which stand in the index too
        "rows": FAMILY_FILE | {"middle byte": HARMLESS},
        "family": FAMILY_FILE,
    },
}
CASES = [
    pytest.param(version, name, damage, expected, id=f"{version}, {name}, {damage}")
    for version, files_of in ((2, BLOCKS[2]), (3, EXPECTED | BLOCKS[3]))
    for name, found in files_of.items()
    for damage, expected in found.items()
]


class Whole:
    """Folders after a crash, with blocks of each format."""

    def __init__(self, parent: Path) -> None:
        self._parent, self._made = parent, dict[int, Path]()

    def of(self, version: int) -> Path:
        """Made when it is asked for."""
        if version not in self._made:
            root = self._parent / str(version) / "data"
            make(root, NOW_NS, version)
            self._made[version] = root
        return self._made[version]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Those of this run."""
    return Whole(tmp_path_factory.mktemp("whole"))


@dataclass(slots=True, kw_only=True)
class Seen:
    """What a damaged folder did."""

    problems: Sequence[Problem] = ()  # that verify found
    unverifiable: str | None = None
    refused: str | None = None
    right: set[str] = field(default_factory=set)  # probes
    short: dict[str, Sequence[str]] = field(default_factory=dict)  # with their warnings
    failed: dict[str, str] = field(default_factory=dict)
    losses: int = 0
    quarantined: Sequence[Mapping[str, Any]] = ()  # as /status tells them
    logged: Sequence[MutableMapping[str, Any]] = ()
    unexpected: BaseException | None = None

    def told(self) -> bool:
        """Whether an operator would know without asking."""
        levels = {record["log_level"] for record in self.logged}
        return self.refused is not None or bool(self.failed) or "error" in levels


def look(root: Path, version: int) -> Seen:
    """Verify the folder, then serve it; fails when that hangs. `version`: of new blocks."""
    seen = Seen()

    def run() -> None:
        try:
            _verify(root, seen)
            with capture_logs() as seen.logged:
                _serve(root, version, seen)
        except AppError as error:
            seen.failed["serving"] = error.message
        except BaseException as error:  # noqa: BLE001 - of a thread: told where it is awaited
            seen.unexpected = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(HANGS_S)
    assert not thread.is_alive(), "it hangs"
    if seen.unexpected is not None:
        raise seen.unexpected
    assert [record for record in seen.logged if record.get("exc_info")] == []
    return seen


def _verify(root: Path, seen: Seen) -> None:
    try:
        seen.problems = verify(DataDir(root), deep=True).problems
    except AppError as error:
        seen.unverifiable = error.message


def _serve(root: Path, version: int, seen: Seen) -> None:
    with _started(root, version, seen) as server:
        if server is None:
            return
        _ask_all(server, seen)
        seen.losses = len(server.catalog.losses())
        seen.quarantined = state_of(server, Readiness(), unloaded(server))["quarantine"]["blocks"]
        server.upkeep.run_once()
        server.disk_guard.run_once()
        fresh = Probe("fresh", ALPHA, NOW_NS + 10**9)
        push(server, fresh)
        assert ask(server, fresh)[0] == sorted(fresh.lines())
        before = seen.right, seen.short, seen.failed
        seen.right, seen.short, seen.failed = set(), {}, {}
        _ask_all(server, seen)
        assert (seen.right, seen.short, seen.failed) == before, "upkeep changed the answers"


class _started:  # noqa: N801 - read as a with statement
    """The server, or None when it refuses."""

    def __init__(self, root: Path, version: int, seen: Seen) -> None:
        self._seen, self._serving = seen, served(root, version)

    def __enter__(self) -> Server | None:
        try:
            self._server: Server | None = self._serving.__enter__()
        except AppError as error:
            self._seen.refused, self._server = error.message, None
        return self._server

    def __exit__(self, *error: Any) -> None:
        if self._server is not None:
            self._serving.__exit__(*error)


def _ask_all(server: Server, seen: Seen) -> None:
    for probe in probes(NOW_NS):
        try:
            lines, warnings = ask(server, probe)
        except AppError as error:
            seen.failed[probe.name] = error.message
            continue
        if lines == sorted(probe.lines()):
            blamed = [text for text in warnings if "block " in text]
            assert not blamed, "no block that was needed is missing"  # a loss warns of its time
            seen.right.add(probe.name)
            assert _counted(server, probe) == LINES
        else:
            seen.short[probe.name] = warnings


def _counted(server: Server, probe: Probe) -> int:
    """Entries of a probe, from timestamps alone."""
    where = TimeRange((probe.tenant,), probe.first_ns, probe.first_ns + LINES)
    matchers = (Matcher("probe", MatchOp.EQ, probe.name),)
    return server.queries.service.index_stats(where, matchers, Budget()).value.entries


ALL = {probe.name for probe in probes(NOW_NS)}


@pytest.mark.parametrize("version", [2, 3])
def test_a_whole_folder(whole: Whole, tmp_path: Path, version: int) -> None:
    shutil.copytree(whole.of(version), tmp_path / "data")
    seen = look(tmp_path / "data", version)
    assert (seen.right, list(seen.problems), seen.losses) == (ALL, [], 0)


@pytest.mark.parametrize(("version", "name", "damage", "expected"), CASES)
def test_one_damaged_file(
    whole: Whole, tmp_path: Path, version: int, name: str, damage: str, expected: str
) -> None:
    root = tmp_path / "data"
    shutil.copytree(whole.of(version), root)
    path = files(root, NOW_NS)[name]
    DAMAGES[damage](path, like(root, NOW_NS, name))
    seen = look(root, version)
    if expected == REFUSED:
        assert seen.refused is not None
        named = (
            path.name in seen.refused
            or "the catalog" in seen.refused
            or "belongs to" in (seen.refused)
        )
        assert named, seen.refused
        assert seen.unverifiable or seen.problems or name in ("lock", "catalog.db-shm")
    elif expected == LEFT_OUT:
        assert seen.right == ALL - {"old"}, "nothing else is touched"
        ((short, (warning,)),) = seen.short.items()
        assert short == "old"
        assert f"block {path.parent.name} is damaged" in warning
        assert f"its {LINES} entries" in warning
        (told,) = [r for r in seen.logged if r["event"].startswith("a block is damaged")]
        assert told["block"] == seen.quarantined[0]["block"] == path.parent.name, "once"
        assert told["object"].endswith(path.name) or name == "manifest"
        assert {problem.kind for problem in seen.problems} == {"block"}
    elif expected == HARMLESS:
        assert (seen.refused, seen.right, seen.losses) == (None, ALL, 0)
        if name in BLOCKS[version]:
            assert {problem.kind for problem in seen.problems} == {"block"}, "verify tells it"
    else:
        missing = expected.removeprefix("lost ")
        assert seen.right == ALL - {missing}
        assert set(seen.short) == {missing}
        assert seen.short[missing] != (), "the answer warns"
        assert seen.losses == 1
        assert seen.told()
        assert {problem.kind for problem in seen.problems} == {"journal"}


def test_any_byte_of_the_catalog(whole: Whole, tmp_path: Path) -> None:
    """SQLite has no checksums: a byte that a start does not notice, `narfi verify` does."""
    chance = random.Random(5)
    base = tmp_path / "base"
    shutil.copytree(whole.of(3), base)
    SqlCatalog(f"sqlite:///{base / 'catalog.db'}").close()  # takes the -wal in
    content = (base / "catalog.db").read_bytes()
    names = [folder.name.encode() for folder in blocks(base, NOW_NS)]
    ids = [found.start() for name in names for found in re.finditer(name, content)]
    rows = [at for first in ids for at in range(first, first + ROW_BYTES)]
    anywhere = [at for at, byte in enumerate(content) if byte]
    for at in chance.sample(rows, CATALOG_BYTES) + chance.sample(anywhere, CATALOG_BYTES):
        root = tmp_path / str(at)
        shutil.copytree(base, root)
        changed = bytearray(content)
        changed[at] ^= 1 << chance.randrange(8)
        (root / "catalog.db").write_bytes(changed)
        seen = look(root, 3)
        noticed = seen.told() or bool(seen.unverifiable or seen.problems)
        assert seen.right == ALL or noticed, f"byte {at}"
        shutil.rmtree(root)
