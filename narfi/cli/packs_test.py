"""`narfi packs test`: does a pack do what it promises? The one test, over samples."""

from pathlib import Path
from tempfile import TemporaryDirectory

from narfi.cli.flags import UsageError
from narfi.core.errors import AppError
from narfi.packs.draft import draft_expected
from narfi.packs.samples import read_samples
from narfi.packs.trial import Place, faults
from narfi.server.lab import Bench, bench
from promtail_agent.packs.load import Shelf
from promtail_agent.packs.pack import Pack

SHOWN = 20
"""Faults of one pack; more are counted."""


def run(names: list[str], samples: Path | None, *, draft: bool) -> int:
    """Test packs on their own samples, or the systems of a folder; how many failed."""
    shelf = Shelf.of_environment()
    asked = _asked(shelf, names, samples)
    failed = 0
    with bench() as there:
        for number, (name, folder) in enumerate(asked):
            try:
                pack = shelf.find(name)
                own = folder is None
                there_are = folder or pack.folder / "samples"
                if draft:
                    _draft(there, pack, there_are)
                failed += _tested(there, pack, there_are, number, own=own)
            except AppError as error:
                print(f"{name}: {error.message}")
                failed += 1
    return failed


def _asked(shelf: Shelf, names: list[str], samples: Path | None) -> list[tuple[str, Path | None]]:
    """Names of packs and the samples for them; a pack's own where that is None.

    A folder of samples has the name of its system's pack; with one name given and no folder of
    that name, the samples are those of DIR itself.
    """
    if samples is None:
        return [(name, None) for name in names or shelf.names()]
    if not samples.is_dir():
        raise UsageError(f"{samples}: no such folder")
    folders = {f.name: f for f in sorted(samples.iterdir()) if f.is_dir() and any(f.glob("*.log"))}
    if len(names) == 1 and any(samples.glob("*.log")):
        return [(names[0], samples)]
    found = [(name, folder) for name, folder in folders.items() if not names or name in names]
    if not found:
        wanted = f" of {', '.join(names)}" if names else ""
        raise UsageError(f"{samples}: there is no folder of samples{wanted}")
    return [*found]


def _draft(there: Bench, pack: Pack, folder: Path) -> None:
    with TemporaryDirectory(prefix="narfi-packs-") as files:
        for made in draft_expected(pack, folder, there, Path(files)):
            print(f"{made}: written; read it before you believe it")


def _tested(there: Bench, pack: Pack, folder: Path, number: int, *, own: bool) -> bool:
    found = read_samples(folder, pack.name)
    with TemporaryDirectory(prefix="narfi-packs-") as files:
        place = Place(bench=there, folder=Path(files), tenant=f"pack-{number}")
        told = faults(pack, found, place, own=own)
    entries = sum(len(sample.entries) for sample in found.samples)
    if not told:
        print(
            f"{pack.name}: {len(found.samples)} samples, {entries} entries, "
            f"{len(found.questions)} questions: as expected"
        )
        return False
    print(f"{pack.name}: {len(told)} faults")
    for text in told[:SHOWN]:
        print(f"  {text}")
    if len(told) > SHOWN:
        print(f"  … and {len(told) - SHOWN} more")
    return True
