"""`narfi rules check`: can rule files be used, and is anything in them surely not meant?"""

from collections.abc import Sequence
from pathlib import Path

from narfi.core.errors import AppError
from ruler.lint import lint
from ruler.read_groups import read_file
from ruler.validate import NO_NAME, group_errors, rule_error


def run(files: Sequence[Path], *, strict: bool) -> int:
    """Print what is wrong; how much it is."""
    wrong = 0
    for path in files:
        errors, remarks, count = _checked(path)
        for text in errors + [f"remark: {text}" for text in remarks]:
            print(f"{path}: {text}")
        wrong += len(errors) + (len(remarks) if strict else 0)
        if not errors:
            print(f"{path}: {count} rules can be used")
    return wrong


def _checked(path: Path) -> tuple[list[str], list[str], int]:
    """Errors, remarks and the number of rules."""
    try:
        groups = read_file(path.read_bytes())
    except OSError as error:
        return [f"cannot be read: {error.strerror}"], [], 0
    except AppError as error:
        return [error.message], [], 0
    errors: list[str] = []
    remarks: list[str] = []
    names: set[str] = set()
    for group in groups:
        where = f"group {group.name}"
        errors += [f"{where}: {text}" for text in group_errors(group)]
        if not group.name:
            errors.append(NO_NAME)
        elif group.name in names:
            errors.append(f"{where}: another group of the file has this name")
        names.add(group.name)
        for rule in group.rules:
            wrong = rule_error(rule, group.name)
            if wrong is None:
                remarks += [f"{where}, rule {rule.name}: {text}" for text in lint(rule)]
            else:
                errors.append(f"{where}, rule {rule.name or 'without a name'}: {wrong}")
    return errors, remarks, sum(len(group.rules) for group in groups)
