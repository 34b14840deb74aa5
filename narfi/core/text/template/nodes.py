"""What is a parsed template? Nodes with their place; `text()` prints them as Go does in errors."""

from dataclasses import dataclass, field

from narfi.core.labels import quote
from narfi.core.text.template.constants import Number


@dataclass(frozen=True, slots=True)
class Constant:
    """A string or bool."""

    at: int
    value: str | bool
    source: str

    def text(self) -> str:
        """As written."""
        return self.source


@dataclass(frozen=True, slots=True)
class NumberConstant:
    """A number or character."""

    at: int
    number: Number
    source: str

    def text(self) -> str:
        """As written."""
        return self.source


@dataclass(frozen=True, slots=True)
class Nil:
    """`nil`"""

    at: int

    def text(self) -> str:
        """`nil`"""
        return "nil"


@dataclass(frozen=True, slots=True)
class Dot:
    """`.`"""

    at: int

    def text(self) -> str:
        """`.`"""
        return "."


@dataclass(frozen=True, slots=True)
class Field:
    """`.a.b`: `at` is the place of the second name's dot, or of the only one's."""

    at: int
    names: tuple[str, ...]

    def text(self) -> str:
        """`.a.b`"""
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x.a`"""

    at: int
    name: str
    fields: tuple[str, ...]

    def text(self) -> str:
        """`$x.a`"""
        return self.name + "".join(f".{name}" for name in self.fields)


@dataclass(frozen=True, slots=True)
class Name:
    """A function's name."""

    at: int
    name: str

    def text(self) -> str:
        """The name."""
        return self.name


@dataclass(frozen=True, slots=True)
class Chain:
    """`(pipe).a.b`, or a function's result with fields."""

    at: int
    node: "Operand"
    fields: tuple[str, ...]

    def text(self) -> str:
        """The fields behind what they belong to."""
        inner = f"({self.node.text()})" if isinstance(self.node, Pipe) else self.node.text()
        return inner + "".join(f".{name}" for name in self.fields)


@dataclass(frozen=True, slots=True)
class Command:
    """A function or value with arguments."""

    at: int
    args: tuple["Operand", ...]

    def text(self) -> str:
        """Arguments with spaces; pipes in parentheses."""
        return " ".join(f"({a.text()})" if isinstance(a, Pipe) else a.text() for a in self.args)


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands in turn, each given the result before it; its variables are declared or assigned."""

    at: int
    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    assigns: bool = False

    def text(self) -> str:
        """As written, normalised."""
        head = ""
        if self.variables:
            head = ", ".join(self.variables) + (" = " if self.assigns else " := ")
        return head + " | ".join(command.text() for command in self.commands)


Operand = Constant | NumberConstant | Nil | Dot | Field | Variable | Name | Chain | Pipe


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text."""

    value: str


@dataclass(frozen=True, slots=True)
class Action:
    """`{{pipe}}`."""

    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `with` or `range`."""

    kind: str
    pipe: Pipe
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Jump:
    """`break` or `continue`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Include:
    """`{{template "name" pipe}}`."""

    at: int
    name: str
    pipe: Pipe | None

    def text(self) -> str:
        """As a `template` action, also for a block."""
        tail = "" if self.pipe is None else f" {self.pipe.text()}"
        return f"{{{{template {quote(self.name)}{tail}}}}}"


Node = Text | Action | Branch | Jump | Include


@dataclass(slots=True)
class Reads:
    """What of an entry a template looks at."""

    fields: set[str] = field(default_factory=set)  # labels by name
    names: set[str] = field(default_factory=set)  # functions
    all_labels: bool = False  # the dot itself
