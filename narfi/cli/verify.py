"""`narfi verify`: is a data folder whole? Exit status 0: yes, 1: no, 2: it cannot be said."""

import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from narfi.cli.data_folder import ConfigFlag, DataDirFlag, data_folder, telling_os_errors
from narfi.cli.output import shown_time
from narfi.cli.progress import Progress
from narfi.core.errors import AppError

if TYPE_CHECKING:
    from storage.vault.report import Problem, Report

EXIT_PROBLEMS, EXIT_UNKNOWN = 1, 2


def verify(
    data_dir: DataDirFlag = "",
    config: ConfigFlag = "",
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check rows, objects, journal and what nobody knows; changes nothing."""
    from storage.vault.verify import verify as check

    try:
        with telling_os_errors(), closing(Progress()) as progress:
            data = data_folder(data_dir, config)
            data.check_holds_the_catalog("narfi verify")
            report = check(data, deep=deep, progress=progress)
    except AppError as error:
        print(f"narfi: {error.message}", file=sys.stderr)
        if as_json:
            print(json.dumps({"ok": False, "error": error.message}))
        sys.exit(EXIT_UNKNOWN)
    if as_json:
        print(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        _print(report)
    sys.exit(EXIT_PROBLEMS if report.problems else 0)


def _print(report: "Report") -> None:
    for problem in report.problems:
        print(_headline(problem))
        print(f"    {problem.where}: {problem.what}")
        print(f"    {problem.advice}")
    for note in report.notes:
        print(f"note: {note}")
    checked = report.checked
    how = "every byte read" if report.deep else "sizes only, --deep reads every byte"
    print(
        f"{len(report.problems)} problems in {checked['blocks']} blocks ({how}) and "
        f"{checked.get('journal_frames', 0)} records of the journal"
    )


def _headline(problem: "Problem") -> str:
    parts = [problem.kind]
    if problem.block:
        parts.append(problem.block)
    if problem.tenant:
        parts.append(f"of tenant {problem.tenant}")
    if problem.rows is not None:
        parts.append(f"with {problem.rows} entries")
    if problem.from_ns is not None:
        parts.append(f"from {shown_time(problem.from_ns, utc=True)}")
    if problem.to_ns is not None:
        parts.append(f"to {shown_time(problem.to_ns, utc=True)}")
    return " ".join(parts)
