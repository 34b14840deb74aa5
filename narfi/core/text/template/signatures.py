"""What does a function take? Its parameters' Go types, so that wrong arguments fail as in Go.

`value` is an argument of any kind with its box (Go's reflect.Value), `any` one without.
"""

from collections.abc import Callable
from dataclasses import dataclass

from narfi.core.text.template.values import (
    TYPE_NAMES,
    Boxed,
    Duration,
    Invalid,
    Struct,
    Structs,
)
from narfi.core.text.template.zones import Moment, Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter's type: by our word, by Go's name, and by the class of its values."""

    word: str
    go_type: str
    kind: str  # int, float, or the word
    values: type | None  # None takes values of any type
    takes_nil: bool


def _parameter(word: str, values: type | None, *, kind: str = "", go_type: str = "") -> Parameter:
    return Parameter(
        word=word,
        go_type=go_type or TYPE_NAMES[values or Boxed],
        kind=kind or word,
        values=values,
        takes_nil=word in ("any", "value", "location"),
    )


PARAMETERS = {
    parameter.word: parameter
    for parameter in (
        _parameter("string", str),
        _parameter("int", int),
        _parameter("float64", float, kind="float"),
        _parameter("bool", bool),
        _parameter("any", None),
        _parameter("value", None, go_type="reflect.Value"),
        _parameter("time", Moment),
        _parameter("duration", Duration, kind="int"),
        _parameter("location", Zone),
        _parameter("sample", Struct, go_type="*template.sample"),
        _parameter("samples", Structs),
    )
}


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
            rest = PARAMETERS[word.removeprefix("...")]
        else:
            fixed.append(PARAMETERS[word])
    return Function(fixed=tuple(fixed), rest=rest, run=run, refusal=refusal)


def is_valid(value: object) -> bool:
    """Whether there is a value, be it a boxed nil."""
    return not isinstance(value, Invalid)


def is_boxed_nil(value: object) -> bool:
    """A nil `interface {}`, such as a JSON null or a missing member."""
    return isinstance(value, Boxed) and isinstance(value.value, Invalid)
