"""What does `label_replace` do? Sets one label from another by a regex (reference/logql.md §12)."""

from logql.ast import LabelReplace
from narfi.core.regex import compile_regex
from narfi.core.text.expand import expand
from querier.budget import Account
from querier.metrics.matrix import Matrix
from querier.result import LabelPairs, labels_bytes


def label_replace(expr: LabelReplace, matrix: Matrix, account: Account) -> Matrix:
    """The same cells; series whose source label matches get the replacement.

    Two series may end with the same labels; as in Loki that is not checked.
    """
    pattern = compile_regex(f"^(?:{expr.regex})$")
    labels: list[LabelPairs] = []
    for pairs in matrix.labels:
        account.check()  # a pattern may take long for each of them
        labels.append(_replaced(expr, pattern, pairs))
        if labels[-1] is not pairs:
            account.charge(labels_bytes(labels[-1]))
    return matrix.with_labels(labels)


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
