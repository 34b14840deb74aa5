"""Does the journal hold what it acknowledged, and reach as far as the catalog says?

Reads a journal that a server may be writing: segments that go meanwhile make it begin again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from narfi.core.tenant import TenantId
from storage.journal.base import Damage, JournalError
from storage.journal.file import ID, MARK
from storage.journal.mark import parse_mark
from storage.journal.reading import read_file
from storage.journal.replay import Replay
from storage.journal.segment import segment_paths, segment_position
from storage.vault.data_dir import JOURNAL, DataDir
from storage.vault.report import Problem, Report

TRIES = 20
PUT_BACK = "put it back; segments name the id in their header"
ADVICE = "the next start tells it and goes on; send the entries again if you can"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the catalog says of journals; read before them, so that none is behind it."""

    watermarks: Mapping[str, Mapping[TenantId, int]]  # by journal
    told: Collection[tuple[str, int]]  # (journal, first position) of losses that it remembers


def check_journal(data: DataDir, expected: Expected, report: Report) -> None:
    """Add what is wrong and was not told yet."""
    folder = data.journal
    try:
        journal_id = read_file(folder / ID).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        _without_identity(folder, expected, report)
        return
    except JournalError as error:
        report.problems.append(_problem(error.message, PUT_BACK))
        return
    for _ in range(TRIES):
        try:
            _check(folder, journal_id, expected, report)
        except FileNotFoundError:
            continue  # a server deleted a segment: begin again
        except JournalError as error:
            report.problems.append(
                _problem(error.message, "move the file away, or put back a backup")
            )
        return
    report.notes.append("the journal changed too fast to be checked")


def forgotten_by(data: DataDir) -> tuple[str, int]:
    """(journal id, newest position that may be deleted); nothing where that cannot be read."""
    try:
        journal_id = read_file(data.journal / ID).decode("utf-8", "replace").strip()
        mark = parse_mark(read_file(data.journal / MARK))
    except (FileNotFoundError, JournalError):
        return "", 0
    return journal_id, mark.forgotten if mark is not None else 0


def _check(folder: Path, journal_id: str, expected: Expected, report: Report) -> None:
    paths, data = _one_moment(folder)
    mark = parse_mark(data) if data is not None else None
    damages: list[Damage] = []
    records = newest = 0
    for record in Replay(paths, journal_id, mark, damages.append).records():
        records, newest = records + 1, record.position
    report.checked["journal_frames"] = records
    for damage in damages:
        if (journal_id, damage.first) in expected.told:
            continue
        what = f"records {damage.first} to {damage.last} are missing: {damage.reason}"
        report.problems.append(_problem(what, ADVICE, damage))
    end = max(
        newest,
        mark.durable if mark is not None else 0,
        segment_position(paths[-1]) - 1 if paths else 0,
    )
    most = max(expected.watermarks.get(journal_id, {}).values(), default=0)
    if most > end and (journal_id, end + 1) not in expected.told:
        what = f"the catalog knows records up to {most}, and the journal ends with {end}"
        report.problems.append(_problem(what, ADVICE))
    if mark is None and paths:
        report.notes.append("the journal has no readable mark: the next start makes one")
    known = set(paths)
    report.notes.extend(
        f"{path.name} in the journal is no segment and is left alone"
        for path in sorted(folder.glob("*.journal"))
        if path not in known and path not in segment_paths(folder)  # begun since
    )


def _one_moment(folder: Path) -> tuple[list[Path], bytes | None]:
    """The segments, and the mark as it was when all of them were there."""
    for _ in range(TRIES):
        before = segment_paths(folder)
        mark = _read(folder / MARK)
        after = segment_paths(folder)
        if set(before) <= set(after):
            return after, mark
    raise FileNotFoundError(folder)


def _read(path: Path) -> bytes | None:
    try:
        return read_file(path)
    except FileNotFoundError:
        return None


def _without_identity(folder: Path, expected: Expected, report: Report) -> None:
    if segment_paths(folder):
        report.problems.append(
            _problem(f"the journal's file {ID} cannot be read: it is gone", PUT_BACK)
        )
    elif expected.watermarks:
        what = "the journal is gone: entries in no block are missing"
        report.problems.append(_problem(what, ADVICE))
    else:
        report.notes.append("there is no journal yet")


def _problem(what: str, advice: str, damage: Damage | None = None) -> Problem:
    return Problem(
        kind="journal",
        what=what,
        advice=advice,
        where=f"{JOURNAL}/",
        from_ns=damage.after_ns if damage else None,
        to_ns=damage.before_ns if damage else None,
    )
