"""Why can an import not go on? Its state stays: mend it, and repeat the command.

AppError
 └ HistoryError          flags, formats
    ├ NotBegunError      limits or the source stand against it
    ├ SourceError        the source cannot be asked, refuses, or gives what it should not
    ├ TargetError        the target cannot be reached, refuses everything, or too much
    └ StateError         the state file cannot be read, written, or is of another import
"""

from narfi.core.errors import AppError, ErrorKind


class HistoryError(AppError):
    """An import that cannot begin or go on."""

    kind = ErrorKind.INVALID


class NotBegunError(HistoryError):
    """Something stands against it: nothing was pushed."""


class SourceError(HistoryError):
    """The source cannot be asked, or what it gives cannot be used."""

    kind = ErrorKind.UNAVAILABLE


class TargetError(HistoryError):
    """The target does not take what is pushed."""

    kind = ErrorKind.UNAVAILABLE


class StateError(HistoryError):
    """The state file cannot be used."""
