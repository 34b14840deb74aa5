"""What can go wrong, in words that every part shares?

Domain code raises the narrowest subclass of `AppError`; two tables in `narfi/server` map kinds to
HTTP and gRPC statuses. Messages that clients of Loki see carry Loki's exact text.
"""

from enum import Enum


class ErrorKind(Enum):
    """Why a request was refused or failed; the transport chooses the status."""

    INVALID = "invalid"  # the request itself is wrong: 400
    UNPROCESSABLE = "unprocessable"  # understood, but nothing in it can be done: 422
    UNAUTHENTICATED = "unauthenticated"  # 401
    FORBIDDEN = "forbidden"  # 403
    NOT_FOUND = "not_found"  # 404
    TOO_LARGE = "too_large"  # 413
    RATE_LIMITED = "rate_limited"  # 429
    CANCELLED = "cancelled"  # 499
    INTERNAL = "internal"  # 500
    UNAVAILABLE = "unavailable"  # 503
    TIMEOUT = "timeout"  # 504


BRIEF_CHARS = 2400
"""Of a message over gRPC, where a byte that is escaped takes three; a quarter beyond ASCII."""


def shortened(text: str, most: int) -> str:
    """The text, or its first `most` characters and how many there are."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters in all)"


class AppError(Exception):
    """An error with a kind and the text that the client shall read."""

    kind: ErrorKind = ErrorKind.INTERNAL
    retry_after_s: int | None = None  # told to the client, where trying again may help
    exit_status: int = 1  # of a command that it ends

    def __init__(self, message: str, kind: ErrorKind | None = None) -> None:
        super().__init__(message)
        self.message = message
        if kind is not None:
            self.kind = kind

    @property
    def brief(self) -> str:
        """The message for trailers of gRPC: clients refuse those of more than 8 KB."""
        ascii_only = self.message.isascii()
        return shortened(self.message, BRIEF_CHARS if ascii_only else BRIEF_CHARS // 4)

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), self.args, self.__dict__)  # other processes raise it too


def _again(kind: type[AppError], args: tuple[object, ...], state: dict[str, object]) -> AppError:
    """The same error in another process, whatever its class takes to be made."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidRequestError(AppError):
    """The request is malformed or breaks a limit (HTTP 400)."""

    kind = ErrorKind.INVALID


class NotSupportedError(AppError):
    """A valid query uses a part of LogQL that is not executed yet; the text names it (HTTP 400)."""

    kind = ErrorKind.INVALID


class InternalError(AppError):
    """An evaluation failed for a reason that Loki reports as 500."""

    kind = ErrorKind.INTERNAL
