"""`narfi packs new`: a first draft of a pack, from a file of a program's lines."""

from pathlib import Path
from tempfile import TemporaryDirectory

from narfi.core.errors import AppError, ErrorKind
from narfi.packs.draft import draft_expected
from narfi.packs.skeleton import write_pack
from narfi.packs.stage_draft import draft_of
from narfi.server.lab import bench
from promtail_agent.packs.load import Shelf
from ruler.rule_tests.case_file import InputLine, InputStream

MOST_LINES = 2_000
COPIES = 30
"""How often each line is stored: a pattern needs some lines."""
TENANT = "new-pack"


class CannotDraftError(AppError):
    """There is nothing to draft from, or something in the way."""

    kind = ErrorKind.INVALID


def run(name: str, source: Path) -> None:
    """Make the folder and say what to do next."""
    folder = Path(name)
    if folder.exists():
        raise CannotDraftError(f"{folder} is there already")
    try:
        lines = [line for line in source.read_bytes().split(b"\n") if line][:MOST_LINES]
    except OSError as error:
        raise CannotDraftError(f"{source}: cannot be read: {error.strerror}") from error
    if not lines:
        raise CannotDraftError(f"{source}: there is no line in it")
    with bench() as there, TemporaryDirectory(prefix="narfi-packs-") as scratch:
        texts = [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
        pushed = [InputLine(i, text) for i, text in enumerate(texts * COPIES)]
        there.lab(TENANT, [InputStream((("app", "new"),), tuple(pushed))])
        draft = draft_of(lines, there.patterns(TENANT))
        write_pack(folder, draft, source.stem, lines)
        pack = Shelf.of_environment().find(f"{folder.absolute()}")
        draft_expected(pack, folder / "samples", there, Path(scratch))
    print(f"{folder}: a draft for {draft.kind} lines, fields: {', '.join(draft.fields) or 'none'}")
    print(f"next: give its fields names in {folder}/stages, say in {folder}/pack.yaml whose lines")
    print(f"these are, correct {folder}/samples/*.expected.jsonl, then narfi packs test ./{folder}")
