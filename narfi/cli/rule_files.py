"""Which groups does a rule file hold, for a command to which every one of them must be usable?"""

from pathlib import Path

from narfi.core.errors import AppError, InvalidRequestError
from ruler.group import Group
from ruler.read_groups import read_file_of_namespace
from ruler.validate import check_group


def usable_groups(path: Path) -> tuple[str, list[Group]]:
    """The namespace that the file gives itself, "" for none, and its groups.

    Raises `InvalidRequestError`, which names the file.
    """
    try:
        namespace, groups = read_file_of_namespace(path.read_bytes())
        for group in groups:
            check_group(group)
    except OSError as error:
        raise InvalidRequestError(f"{path}: cannot be read: {error.strerror}") from error
    except AppError as error:
        raise InvalidRequestError(f"{path}: {error.message}") from error
    return namespace, groups
