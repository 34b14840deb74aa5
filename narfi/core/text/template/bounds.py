"""How much may a template make? Sizes that a template asks for end here, in a template error."""

from narfi.core.text.template.errors import CallError

MAX_TEXT = 1 << 20
"""Characters that one function gives."""


def bounded(size: int) -> int:
    """The size; raises `CallError` when it is beyond what a function may give."""
    if size > MAX_TEXT:
        raise CallError(f"output of more than {MAX_TEXT} characters is not allowed")
    return size
