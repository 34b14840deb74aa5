"""Does an index come back as it was written, and is every changed byte of it noticed?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.block.footer import DamagedBlockError
from storage.block.format3.index_object import decode_index, encode_index

BLOBS = st.lists(st.tuples(st.text(max_size=4), st.binary(max_size=9)), unique_by=lambda b: b[0])


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 9) | st.text()), BLOBS)
def test_it_comes_back(head: dict[str, object], blobs: list[tuple[str, bytes]]) -> None:
    found, again = decode_index("k/index", encode_index(head, blobs))
    assert {name: found[name] for name in head} == head
    assert again == dict(blobs)


def test_every_changed_byte_is_noticed() -> None:
    good = encode_index({"rows": 3}, [("footer:a", b"x" * 40)])
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 0x10
        with pytest.raises(DamagedBlockError, match="k/index"):
            decode_index("k/index", bytes(bad))
    for size in range(len(good)):
        with pytest.raises(DamagedBlockError):
            decode_index("k/index", good[:size])
