"""How often does a label have each value? Row by row; an empty value is none."""

from collections import Counter
from collections.abc import Sequence

from tests.reference.pipeline import Row

Facet = tuple[str, list[tuple[str, int]], int, int, int]
"""(name, shown values with counts, distinct values, rows with others, rows without)."""


def facet(rows: Sequence[Row], name: str, limit: int) -> Facet:
    """Of a label; the most frequent values first, of equal ones by their bytes."""
    texts = [row.labels().get(name, "") for row in rows]
    counts = Counter(text for text in texts if text)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))
    shown = ordered[:limit]
    others = sum(count for _, count in ordered[limit:])
    return name, shown, len(counts), others, texts.count("")
