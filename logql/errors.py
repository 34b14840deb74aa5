"""How is wrong LogQL reported? In the words of the recorded server, with line and column."""

from narfi.core.errors import InvalidRequestError


class LogQLError(InvalidRequestError):
    """A query that cannot be understood; the message is what the client reads."""


class LogQLSyntaxError(LogQLError):
    """A place in the text that cannot be right; line 0 where the recorded server loses it."""

    def __init__(self, line: int, column: int, text: str) -> None:
        place = f" at line {line}, col {column}" if line or column else " "
        super().__init__(f"parse error{place}: {text}")
        self.line, self.column = line, column


class LogQLValidationError(LogQLError):
    """A query that parses but makes no sense."""

    def __init__(self, text: str) -> None:
        super().__init__(f"parse error : {text}")
