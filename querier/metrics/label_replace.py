"""What does `label_replace` do? Sets one label from another by a regex (reference/logql.md §12)."""

from logql.ast import LabelReplace
from narfi.core.regex import compile_regex
from narfi.core.text.expand import expand
from querier.metrics.matrix import Matrix
from querier.result import LabelPairs


def label_replace(expr: LabelReplace, matrix: Matrix) -> Matrix:
    """The same cells; series whose source label matches get the replacement.

    Two series may end with the same labels; as in Loki that is not checked.
    """
    pattern = compile_regex(f"^(?:{expr.regex})$")
    return matrix.with_labels([_replaced(expr, pattern, pairs) for pairs in matrix.labels])


def _replaced(expr: LabelReplace, pattern: object, pairs: LabelPairs) -> LabelPairs:
    labels = dict(pairs)
    match = pattern.search(labels.get(expr.source, ""))  # type: ignore[attr-defined]
    if match is None:
        return pairs
    value = expand(expr.replacement, match)
    if value:
        labels[expr.destination] = value
    else:
        labels.pop(expr.destination, None)
    return tuple(sorted(labels.items()))
