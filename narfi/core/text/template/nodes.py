"""What is a parsed template? Nodes with their place; `text()` prints them as Go does in errors."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, number, character, bool or nil as written."""

    at: int
    value: object
    source: str

    def text(self) -> str:
        """As written."""
        return self.source


@dataclass(frozen=True, slots=True)
class Dot:
    """`.`"""

    at: int

    def text(self) -> str:
        """`.`"""
        return "."


@dataclass(frozen=True, slots=True)
class Field:
    """`.a.b`: `at` is the place of the last name's dot."""

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
    """Commands in turn, each given the result before it; `declares` variables or assigns them."""

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


Operand = Constant | Dot | Field | Variable | Name | Chain | Pipe


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


Node = Text | Action | Branch | Jump | Include
