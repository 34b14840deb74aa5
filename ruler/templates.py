"""What do an alert's labels and annotations say? Go templates over its labels and value.

Four variables are defined in front of every text, so that places in errors are those that the
recorded server tells. A template that fails says so in the text, and the alert goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from narfi.core.text.template.errors import TemplateExecError, TemplateSyntaxError
from narfi.core.text.template.parser import parse_template
from narfi.core.text.template.render import execute_on
from narfi.core.text.template.signatures import Function
from narfi.core.text.template.values import Struct, Structs, TextMap
from ruler.template_functions import (
    FUNCTION_NAMES,
    Pairs,
    QueryFunction,
    TemplateWorld,
    functions_for,
    line_functions,
)

_LABELS = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}"
_VALUE = "{{$value := .Value}}"
_CHECKED = _LABELS + _VALUE
"""When a rule is posted, `$externalURL` is refused, as recorded."""
_EXPANDED = _LABELS + "{{$externalURL := .ExternalURL}}" + _VALUE
_DOT_TYPE = (
    "struct { Labels map[string]string; ExternalLabels map[string]string; "
    "ExternalURL string; Value interface {} }"
)
_NOTHING: frozenset[str] = frozenset()


def _name(alert: str) -> str:
    return f"__alert_{alert}"


def check_template(text: str, alert: str) -> None:
    """Raises `TemplateSyntaxError` with Go's text."""
    parse_template(_CHECKED + text, _name(alert), _NOTHING, FUNCTION_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expander:
    """Expands the templates of one rule at one evaluation."""

    alert: str
    world: TemplateWorld
    functions: Mapping[str, Function]
    check: Callable[[], None]  # raises when it takes too long
    lines: Callable[[Pairs], Structs]  # of an alert whose series has these labels

    def expand(self, text: str, labels: Pairs, value: float) -> str:
        """The text for an alert whose series has these labels; what failed is told in it."""
        if "{{" not in text:
            return text
        functions = {**self.functions, **line_functions(lambda: self.lines(labels))}
        name = _name(self.alert)
        dot = Struct(
            _DOT_TYPE,
            {
                "Labels": TextMap(labels),
                "ExternalLabels": TextMap(self.world.external_labels),
                "ExternalURL": self.world.external_url,
                "Value": value,
            },
        )
        try:
            parsed = parse_template(_EXPANDED + text, name, _NOTHING, FUNCTION_NAMES)
        except TemplateSyntaxError as error:
            return _failed(f"error parsing template {name}: {error.message}")
        try:
            return execute_on(parsed, dot, functions, self.check)
        except TemplateExecError as error:
            return _failed(f"error executing template {name}: {error}")


def _failed(reason: str) -> str:
    return f"<error expanding template: {reason}>"


def expander(
    alert: str,
    world: TemplateWorld,
    query: QueryFunction,
    lines: Callable[[Pairs], Structs],
    check: Callable[[], None],
    *,
    at_ns: int,
) -> Expander:
    """For one rule at the evaluation of a time, at which `query` runs too."""
    functions = functions_for(world, query, at_ns)
    return Expander(alert=alert, world=world, functions=functions, check=check, lines=lines)
