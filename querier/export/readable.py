"""How are labels shown whose bytes are not UTF-8? With U+FFFD for each of these bytes."""

from querier.result import LabelPairs


def readable(text: str) -> str:
    """Text that any form can hold."""
    if text.isascii():
        return text
    return "".join("\ufffd" if "\udc80" <= char <= "\udcff" else char for char in text)


def readable_pairs(pairs: LabelPairs) -> dict[str, str]:
    """All labels of a set."""
    return {readable(name): readable(value) for name, value in pairs}
