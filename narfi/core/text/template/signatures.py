"""What does a function take? Its parameters' Go types, so that wrong arguments fail as in Go.

`value` is an argument of any kind with its box (Go's reflect.Value), `any` one without.
"""

from collections.abc import Callable
from dataclasses import dataclass

from narfi.core.text.template.values import TYPE_NAMES, Boxed, Invalid

TYPES = {
    "string": "string",
    "int": "int",
    "int64": "int64",
    "float64": "float64",
    "bool": "bool",
    "any": "interface {}",
    "value": "reflect.Value",
    "time": "time.Time",
    "duration": "time.Duration",
    "location": "*time.Location",
    "strings": "[]string",
}
_KINDS = {"int64": "int", "duration": "int", "int": "int", "float64": "float"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter's type by our word and by Go's."""

    word: str

    @property
    def go_type(self) -> str:
        """As errors name it."""
        return TYPES[self.word]

    @property
    def kind(self) -> str:
        """int, float, string, bool, any, value or what it is called."""
        return _KINDS.get(self.word, self.word)

    @property
    def takes_nil(self) -> bool:
        """Whether nil can be given."""
        return self.word in ("any", "value", "location", "strings")

    def takes(self, value: object) -> bool:
        """Whether a value's type is the parameter's."""
        return self.word in ("any", "value") or TYPE_NAMES[type(value)] == self.go_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function or method; `refusal` is why Go's templates do not call it."""

    fixed: tuple[Parameter, ...]
    rest: Parameter | None
    run: Callable[..., object]
    refusal: str = ""

    def parameter(self, place: int) -> Parameter:
        """The parameter of the argument at a place."""
        if place < len(self.fixed):
            return self.fixed[place]
        assert self.rest is not None
        return self.rest


def function(parameters: str, run: Callable[..., object], refusal: str = "") -> Function:
    """A function by its parameters: `"int string"`, `"any ...any"`."""
    fixed: list[Parameter] = []
    rest = None
    for word in parameters.split():
        if word.startswith("..."):
            rest = Parameter(word.removeprefix("..."))
        else:
            fixed.append(Parameter(word))
    return Function(fixed=tuple(fixed), rest=rest, run=run, refusal=refusal)


def is_valid(value: object) -> bool:
    """Whether there is a value, be it a boxed nil."""
    return not isinstance(value, Invalid)


def is_boxed_nil(value: object) -> bool:
    """A nil `interface {}`, such as a JSON null or a missing member."""
    return isinstance(value, Boxed) and isinstance(value.value, Invalid)
