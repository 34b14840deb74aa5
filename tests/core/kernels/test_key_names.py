"""Does a kernel make the label names of keys as the function over one key does?"""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.text.label_names import WHITE_SPACE, sanitise
from querier.operators.json_parser import JsonWanted
from querier.operators.logfmt import scan
from tests.reference.budget import examples

PARTS = st.one_of(
    st.sampled_from(
        [*WHITE_SPACE, "\x1c", "\u200b", "\u2007", "\ufffd", "é", "€", "𝄞", "_", "-", "."]
    ),
    st.text("aZ09_", max_size=3),
).map(str.encode)
KEYS = st.lists(st.one_of(PARTS, st.binary(max_size=3)), max_size=6).map(b"".join)


def name_of(key: bytes) -> str:
    """The name of a key, slowly."""
    return sanitise(key.decode("utf-8", "surrogateescape"))


@settings(max_examples=examples(1000))
@given(st.lists(KEYS, min_size=1, max_size=5), st.sets(st.text("aZ09_", min_size=1, max_size=4)))
@example([b"\xe2\x80", b"\xc2", b"9a", b"\xe3\x80\x80a\xe3\x80\x80", b"\xc2\xa0"], {"_9a", "a"})
def test_members_by_name(keys: list[bytes], others: set[str]) -> None:
    keys = [key for key in keys if not set(key) & set(b'"\\')]
    names = tuple(sorted({*map(name_of, keys), *others} - {""}))
    lines = Spans.of(b'{"%s":"%d"}' % (key, number) for number, key in enumerate(keys))
    found = JsonWanted(names, True)._scan(lines, stop_early=False)
    for row, key in enumerate(keys):
        have = [names[k] for k in np.flatnonzero(found.length[:, row] >= 0).tolist()]
        assert have == [name for name in names if name == name_of(key)], key


@settings(max_examples=examples(1000))
@given(st.lists(KEYS, min_size=1, max_size=5), st.sets(st.text("aZ09_", min_size=1, max_size=4)))
@example([b"\xc2\xa0", b"\xc2\xa0a", b"9a", b"level"], {"", "lev", "level2"})
def test_pairs_by_name(keys: list[bytes], others: set[str]) -> None:
    lines = Spans.of(b"%s=%d x=1 %s" % (key, number, key) for number, key in enumerate(keys))
    everything = scan(lines, strict=False, keep_empty=True)
    names = sorted({*map(sanitise, everything.keys), *others})
    some = names[::2]
    found = scan(lines, strict=False, keep_empty=True, names=some)
    wanted = [
        (row, sanitise(everything.keys[key]), value)
        for row, key, value in zip(
            everything.pair_row.tolist(),
            everything.pair_key.tolist(),
            everything.values.to_list(),
            strict=True,
        )
        if sanitise(everything.keys[key]) in some
    ]
    told = [
        (row, found.keys[key], value)
        for row, key, value in zip(
            found.pair_row.tolist(), found.pair_key.tolist(), found.values.to_list(), strict=True
        )
    ]
    assert told == wanted
