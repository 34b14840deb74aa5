"""How do templates fail? In Go's words: when parsed, or when executed for an entry."""

from narfi.core.errors import InvalidRequestError


class TemplateSyntaxError(InvalidRequestError):
    """`template: line:1: …`: the template cannot be used at all."""


class TemplateExecError(Exception):
    """The template failed for one entry; the message becomes `__error_details__`."""


class CallError(Exception):
    """A function refused its arguments; the renderer adds where."""
