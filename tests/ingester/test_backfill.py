"""Do only pushes with the header get the labels of a backfill?"""

import pytest

from ingester.backfill import (
    MAX_SHARD_BYTES,
    ReservedLabelsError,
    checked_shard,
    refuse_reserved,
    with_shard,
)
from ingester.streams import StreamResolver
from narfi.core.errors import InvalidRequestError
from narfi.core.limits import Limits
from tests.ingester.pushed import lines, pushed


def test_every_stream_is_marked() -> None:
    push = with_shard(pushed({'{app="a"}': lines(b"x"), '{b="\\"q\\""}': lines(b"y")}), "7")
    marked = StreamResolver().resolve(push.labels, Limits(discover_service_name=()))
    assert [dict(stream.labels.pairs) for stream in marked] == [
        {"app": "a", "__backfill__": "true", "__backfill_shard__": "7"},
        {"b": '"q"', "__backfill__": "true", "__backfill_shard__": "7"},
    ]


@pytest.mark.parametrize("name", ["__backfill__", "__backfill_shard__"])
def test_clients_set_none_of_these_labels(name: str) -> None:
    push = pushed({f'{{app="a", {name}="x"}}': lines(b"x")})
    with pytest.raises(ReservedLabelsError, match="reserved labels"):
        refuse_reserved(StreamResolver().resolve(push.labels, Limits()))
    with pytest.raises(ReservedLabelsError):
        with_shard(push, "7")
    refuse_reserved(StreamResolver().resolve((b'{app="a"}',), Limits()))


def test_the_value_of_the_header() -> None:
    assert checked_shard("") == ""
    assert checked_shard("é".encode().decode("latin-1")) == "é"
    assert checked_shard("x" * MAX_SHARD_BYTES) == "x" * MAX_SHARD_BYTES
    with pytest.raises(InvalidRequestError, match="value length 129 exceeds limit of 128"):
        checked_shard("x" * (MAX_SHARD_BYTES + 1))
    with pytest.raises(InvalidRequestError, match="must be a valid label value"):
        checked_shard("\xff")
