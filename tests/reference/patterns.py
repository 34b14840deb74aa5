"""What are the patterns of lines? Slowly, line by line, written from the rules.

A token is a run of letters, digits, `_`, characters beyond ASCII and, inside, of `.:/-+@%`. One
with a digit is a place. Lines that are equal but for their places are a mask; a place that is
filled alike in all lines of a mask is text, and so is what all fillings begin with up to a slash.
Masks of a level, most frequent first (then by text), make clusters, clusters are parted by frequent
words, and each part is a pattern.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

INNER = ".:/-+@%"
PLACE = "\ufdd0"
Line = tuple[str, str]
"""The text of a line and its level."""


def is_letter(char: str) -> bool:
    """Whether a token may begin and end with it."""
    return char == "_" or (char.isascii() and char.isalnum()) or not char.isascii()


def tokens(text: str) -> list[tuple[str, bool]]:
    """The text cut into (part, whether it is a token)."""
    parts: list[tuple[str, bool]] = []
    at = 0
    while at < len(text):
        end = at
        while end < len(text) and (is_letter(text[end]) or (end > at and text[end] in INNER)):
            end += 1
        while end > at and not is_letter(text[end - 1]):
            end -= 1
        parts.append((text[at:end], True) if end > at else (text[at], False))
        at = max(end, at + 1)
    return parts


@dataclass
class Mask:
    """Lines that are equal but for their places."""

    text: str
    level: str
    lines: list[str] = field(default_factory=list)

    def words(self) -> list[str]:
        """Cut behind blanks, tabs and commas; each word keeps what ends it."""
        words = [""]
        for char in self.text:
            words[-1] += char
            if char in " \t,":
                words.append("")
        return words if words[-1] else words[:-1]

    def known(self) -> list[list[str]]:
        """For each word its tokens and what is between, with what always fills a place in it."""
        filled = [
            [p for p, t in tokens(line) if t and any(c in "0123456789" for c in p)]
            for line in self.lines
        ]
        places = [set(column) for column in zip(*filled, strict=True)]
        number = 0
        found = []
        for word in self.words():
            body = []
            for part, _ in tokens(core(word)):
                if part == PLACE:
                    body.append(common(places[number]))
                    number += 1
                else:
                    body.append(part)
            found.append(body)
        return found


def common(texts: set[str]) -> str:
    """The one text, or what all begin with up to a slash, and a place."""
    if len(texts) == 1:
        return min(texts)
    steps = [text.split("/") for text in texts]
    begin = ""
    for column in zip(*(step[:-1] for step in steps), strict=False):
        if len(set(column)) > 1 or PLACE in column[0]:
            break
        begin += column[0] + "/"
    return begin + PLACE


def core(word: str) -> str:
    """Without what ends it."""
    return word[:-1] if word[-1:] in (" ", "\t", ",") else word


def mask_text(line: str) -> str:
    """Every token with a digit left out."""
    return "".join(
        PLACE if token and any(char in "0123456789" for char in part) else part
        for part, token in tokens(line)
    )


def patterns(lines: Sequence[Line], min_hits: int) -> list[tuple[str, str, list[str]]]:
    """(pattern, level, its lines), most lines first."""
    masks: dict[tuple[str, str], Mask] = {}
    for line, level in lines:
        key = (mask_text(line), level)
        masks.setdefault(key, Mask(*key)).lines.append(line)
    ordered = sorted(masks.values(), key=lambda m: (-len(m.lines), m.text, m.level))
    clusters: list[list[Mask]] = []
    for mask in ordered:
        for cluster in clusters:
            if alike(cluster[0], mask):
                cluster.append(mask)
                break
        else:
            clusters.append([mask])
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for cluster in clusters:
        total = sum(len(mask.lines) for mask in cluster)
        for part in parted(cluster, max(Fraction(min_hits), Fraction(total, 10))):
            counted = [line for mask in part for line in mask.lines]
            if len(counted) >= min_hits:
                found[written(part), part[0].level] += counted
    result = [(text, level, lines) for (text, level), lines in found.items()]
    return sorted(result, key=lambda p: (-len(p[2]), p[0], p[1]))


def alike(first: Mask, other: Mask) -> bool:
    """Same ends of words, empty words in the same places, most words or all but one equal."""
    a, b = first.words(), other.words()
    if first.level != other.level or [w[len(core(w)) :] for w in a] != [
        w[len(core(w)) :] for w in b
    ]:
        return False
    pairs = [(core(x), core(y)) for x, y in zip(a, b, strict=True)]
    if any((x == "") != (y == "") for x, y in pairs):
        return False
    pairs = [(x, y) for x, y in pairs if x]
    same = sum(x == y for x, y in pairs)
    return same >= 1 and (
        same >= len(pairs) - 1 or Fraction(same, max(len(pairs), 1)) >= Fraction(7, 10)
    )


def parted(masks: list[Mask], least: Fraction) -> list[list[Mask]]:
    """By the place with the fewest different words, of those where one of several is frequent."""
    best: tuple[int, int] | None = None
    columns = [[core(word) for word in mask.words()] for mask in masks]
    weights = [len(mask.lines) for mask in masks]
    counts: list[dict[str, int]] = []
    for place in range(len(columns[0])):
        count: dict[str, int] = defaultdict(int)
        for words, weight in zip(columns, weights, strict=True):
            count[words[place]] += weight
        counts.append(count)
        if len(count) > 1 and max(count.values()) >= least:
            best = min(best or (len(count), place), (len(count), place))
    if best is None:
        return [masks]
    count = counts[best[1]]
    parts: dict[str | None, list[Mask]] = defaultdict(list)
    for words, mask in zip(columns, masks, strict=True):
        word = words[best[1]]
        parts[word if count[word] >= least else None].append(mask)
    return [small for part in parts.values() for small in parted(part, least)]


def written(part: list[Mask]) -> str:
    """Equal tokens stay; a word that is built differently is a hole from the first difference."""
    bodies = [mask.known() for mask in part]
    ends = [word[len(core(word)) :] for word in part[0].words()]
    text = ""
    for place, end in enumerate(ends):
        text += one_word([body[place] for body in bodies]) + end
    while PLACE * 2 in text:
        text = text.replace(PLACE * 2, PLACE)
    tail = text.rstrip(INNER)
    if tail.endswith(PLACE):
        text = tail
    return text.replace(PLACE, "<_>")


def one_word(bodies: list[list[str]]) -> str:
    """One word for all; `bodies` are tokens and single characters between."""

    def shape(body: list[str]) -> list[str]:
        return [PLACE if is_letter(part[0]) else part for part in body]

    first = bodies[0]
    if all(shape(body) == shape(first) for body in bodies):
        columns = zip(*bodies, strict=True)
        return "".join(common(set(column)) for column in columns)
    # what is between two tokens counts as one part, also where nothing is
    grouped = [between(body) for body in bodies]
    shared = 0
    while all(len(g) > shared for g in grouped) and len({g[shared] for g in grouped}) == 1:
        if PLACE in grouped[0][shared]:
            break
        shared += 1
    if shared % 2 == 0:  # up to a token: the text in front of it stays
        shared -= 1
    if any(len(g) == shared for g in grouped):  # nothing would be left of a word
        shared -= 2
    return "".join(grouped[0][: max(shared, 0)]) + PLACE


def between(body: list[str]) -> list[str]:
    """Text, token, text, token, …, text."""
    found = [""]
    for part in body:
        if is_letter(part[0]):
            found += [part, ""]
        else:
            found[-1] += part
    return found
