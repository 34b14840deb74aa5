"""Are bytes of an object journal what was put, or an error that names the object?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.tenant import TenantId
from storage.journal.base import Record
from storage.journal.numbered import (
    DamagedCommitError,
    Seal,
    decode_object,
    encode_commit,
    encode_seal,
    first_position,
    key_of,
    number_of,
)

ID = "0b1d2f3a-0000-4000-8000-000000000001"
OTHER = "0b1d2f3a-0000-4000-8000-000000000002"
RECORDS = [
    Record(tenant=TenantId("t"), received_ns=7, codec=1, decided=b"d", body=b"body %d" % k)
    for k in range(3)
]
COMMIT, SEAL = encode_commit(ID, 5, RECORDS), encode_seal(ID, 9)


def test_round_trip() -> None:
    found = decode_object(ID, 5, COMMIT)
    assert not isinstance(found, Seal)
    assert [one.body for one in found] == [b"body 0", b"body 1", b"body 2"]
    assert [one.position for one in found] == [first_position(5) + k for k in range(3)]
    assert {one.commit for one in found} == {first_position(5)}
    assert {number_of(one.position) for one in found} == {5}
    assert decode_object(ID, 5, SEAL) == Seal(9)
    assert key_of(ID, 5) == f"journal/{ID}/00000000000000000005"


@given(st.sampled_from([COMMIT, SEAL]), st.data())
def test_a_flipped_bit_or_a_cut_is_damage(content: bytes, data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
        wrong = bytearray(content)
        wrong[at] ^= 1 << bit
    else:
        wrong = bytearray(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(DamagedCommitError, match=key_of(ID, 5)):
        decode_object(ID, 5, bytes(wrong))


@pytest.mark.parametrize(
    ("journal_id", "number", "content"),
    [(OTHER, 5, COMMIT), (ID, 6, COMMIT), (OTHER, 5, SEAL), (ID, 5, b""), (ID, 5, b"\0\0\0\0")],
)
def test_what_belongs_elsewhere_is_damage(journal_id: str, number: int, content: bytes) -> None:
    with pytest.raises(DamagedCommitError, match=key_of(journal_id, number)):
        decode_object(journal_id, number, content)
