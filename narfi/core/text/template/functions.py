"""Which functions do LogQL's templates have? One table over the themes (logql.md §8.3)."""

from collections.abc import Mapping

from narfi.core.text.template.builtin_functions import BUILTINS
from narfi.core.text.template.number_functions import NUMBER_FUNCTIONS
from narfi.core.text.template.signatures import Function, function
from narfi.core.text.template.text_functions import TEXT_FUNCTIONS
from narfi.core.text.template.value_functions import VALUE_FUNCTIONS


def _of_the_entry() -> object:
    """The renderer answers: it has the entry."""
    raise AssertionError


FUNCTIONS: Mapping[str, Function] = {
    **BUILTINS,
    **TEXT_FUNCTIONS,
    **NUMBER_FUNCTIONS,
    **VALUE_FUNCTIONS,
    "__line__": function("", _of_the_entry),
    "__timestamp__": function("", _of_the_entry),
}
FUNCTION_NAMES = frozenset(FUNCTIONS)
