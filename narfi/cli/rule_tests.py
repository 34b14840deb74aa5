"""`narfi rules test`: do rules find what their author says, in lines that a test file gives?"""

from collections.abc import Sequence
from pathlib import Path

from narfi.cli.rule_files import usable_groups
from narfi.core.errors import AppError, InvalidRequestError
from narfi.server.lab import Bench, bench
from ruler.group import Group
from ruler.rule_tests.case_file import CaseFile, read_case_file
from ruler.rule_tests.cases import CaseRun


def run_files(files: Sequence[Path], only: str) -> int:
    """Run the cases of the files in whose name `only` stands; how many failed."""
    with bench() as there:
        return sum(_tested(path, number, only, there) for number, path in enumerate(files))


def _tested(path: Path, number: int, only: str, there: Bench) -> int:
    """Run a file's cases; how many failed."""
    try:
        cases = read_case_file(path.read_bytes())
        groups = _groups(path, cases)
    except (OSError, AppError) as error:
        print(f"{path}: {_reason(error)}")
        return 1
    failed = ran = 0
    for place, case in enumerate(cases.cases):
        if only not in case.name:
            continue
        ran += 1
        try:
            lab = there.lab(f"case-{number}-{place}", case.streams)
            failures = CaseRun(case, groups, cases.interval_ns, lab).failures()
        except AppError as error:
            failures = [error.message]
        failed += bool(failures)
        for text in failures:
            print(f"{path}: {case.name}: {text}")
    if not failed:
        print(f"{path}: {ran} cases hold")
    return failed


def _groups(path: Path, cases: CaseFile) -> list[Group]:
    """The groups of the rule files, in the order that is asked for; every rule must be usable."""
    found: list[Group] = []
    for pattern in cases.rule_files:
        names = sorted(path.parent.glob(pattern)) if pattern[:1] != "/" else [Path(pattern)]
        if not names:
            raise InvalidRequestError(f"no rule file is named {pattern}")
        for name in names:
            found += usable_groups(name)[1]
    order = {name: place for place, name in enumerate(cases.group_order)}
    return sorted(found, key=lambda group: order.get(group.name, len(order)))


def _reason(error: OSError | AppError) -> str:
    if isinstance(error, AppError):
        return error.message
    return f"cannot be read: {error.strerror}"
