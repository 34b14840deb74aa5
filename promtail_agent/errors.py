"""What can go wrong in the agent, besides the network?

AppError
├── ConfigError      a configuration that cannot be used; names file, line and key
├── PositionsError   a positions file that cannot be read
├── ListenError      an address that cannot be listened on
└── SpoolError       a spool that cannot be used
"""

from narfi.core.errors import AppError, ErrorKind


class ConfigError(AppError):
    """The configuration is wrong; the text is a line `<file>:<line>: <key>: <what>` a mistake."""

    kind = ErrorKind.INVALID


class PositionsError(AppError):
    """The positions file is not readable (reference/agent.md §6)."""

    kind = ErrorKind.INVALID


class ListenError(AppError):
    """A source of a job cannot listen on its address."""

    kind = ErrorKind.INVALID


class SpoolError(AppError):
    """The spool's folder cannot be used."""

    kind = ErrorKind.INVALID
