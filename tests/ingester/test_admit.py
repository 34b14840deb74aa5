"""Are sizes checked before memory is taken, and are wrong bodies refused in Loki's words?"""

import gzip
import zlib
from collections.abc import Callable

import pytest
import snappy

from ingester import admit
from ingester.admit import BodyFormat, Room
from ingester.errors import BodyTooLargeError, MediaTypeError
from narfi.core.in_flight import BusyError, InFlight, TooCostlyError
from narfi.core.wire.push import PushFormatError

PROTOBUF = "application/x-protobuf"
ROOM = Room()
SMALL = Room(1 << 20)


def test_formats_and_encodings() -> None:
    assert admit.admit(b"{}", "application/json", "", ROOM).format is BodyFormat.JSON
    assert bytes(admit.admit(gzip.compress(b"{}"), "application/json", "gzip", ROOM).body) == b"{}"
    deflated = zlib.compressobj(wbits=-15)
    body = deflated.compress(b"{}") + deflated.flush()
    assert (
        bytes(admit.admit(body, "application/json; charset=utf-8", "deflate", ROOM).body) == b"{}"
    )
    assert bytes(admit.admit(snappy.compress(b"x"), PROTOBUF, "", ROOM).body) == b"x"
    both = gzip.compress(snappy.compress(b"x"))
    assert bytes(admit.admit(both, PROTOBUF, "gzip", ROOM).body) == b"x"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "nothing",
        "a b/c",
        "a/",
        "a/b, c/d",
        "a/b; x",
        "a/b; =x",
        "a/b; x=",
        "a/b;;",
        "a/b;x=1;X=2",
    ],
)
def test_media_types_that_say_nothing(content_type: str) -> None:
    if content_type == "nothing":
        assert admit.parse_media_type(content_type) == "nothing"
        return
    with pytest.raises(MediaTypeError):
        admit.parse_media_type(content_type)


def raw_deflate(body: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(body) + machine.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": raw_deflate}


@pytest.mark.parametrize("encoding", PACK)
def test_a_bomb_stops_at_the_limit(encoding: str) -> None:
    bomb = PACK[encoding](b"\0" * (8 << 20))
    with pytest.raises(BodyTooLargeError, match="decompressed message size too large than max"):
        admit.admit(bomb, "application/json", encoding, SMALL)


@pytest.mark.parametrize("encoding", PACK)
def test_what_is_decompressed_is_in_flight(encoding: str) -> None:
    in_flight = InFlight(4 << 20)
    charge = in_flight.open()
    plain = bytes(range(256)) * (3 << 12)
    room = Room(charge=charge)
    assert admit.admit(PACK[encoding](plain), "application/json", encoding, room).body == plain
    assert in_flight.used == len(plain)
    other = in_flight.open()
    with pytest.raises(BusyError):
        admit.admit(PACK[encoding](plain), PROTOBUF, encoding, Room(charge=other))
    other.close()
    with pytest.raises(TooCostlyError, match="max_inflight_bytes"):
        admit.admit(PACK[encoding](plain), PROTOBUF, encoding, room)
    charge.close()
    assert in_flight.used == 0


def test_a_snappy_body_is_in_flight_before_it_is_decompressed() -> None:
    in_flight = InFlight(1000)
    with pytest.raises(TooCostlyError):
        admit.admit(snappy.compress(b"x" * 1001), PROTOBUF, "", Room(charge=in_flight.open()))
    assert in_flight.used == 0


def test_a_snappy_size_is_believed_only_within_reason() -> None:
    claim = b"\xff\xff\xff\xff\x01"  # 512 MiB - 1
    with pytest.raises(PushFormatError, match="corrupt"):
        admit.admit(claim + b"\x00", PROTOBUF, "", ROOM)
    with pytest.raises(BodyTooLargeError):
        admit.admit(b"\xff\xff\xff\xff\x0f", PROTOBUF, "", ROOM)


@pytest.mark.parametrize("body", [b"", b"\x80", b"\x05", b"\x03\x04ab"])
def test_snappy_that_is_damaged(body: bytes) -> None:
    with pytest.raises(PushFormatError):
        admit.admit(body, PROTOBUF, "", ROOM)


def test_gzip_that_is_cut() -> None:
    with pytest.raises(PushFormatError):
        admit.admit(gzip.compress(b"{}" * 100)[:-8], "application/json", "gzip", ROOM)


@pytest.mark.parametrize(
    "content_type",
    [
        "Application/JSON",
        "application/json;",
        "application/json ; ",
        "application/json;charset=utf-8",
        'application/json; charset="utf-8"; v="a;\\"b" ;',
    ],
)
def test_parameters_of_media_types(content_type: str) -> None:
    assert admit.parse_media_type(content_type) == "application/json"


@pytest.mark.parametrize(
    "encoding",
    ["GZIP", "Gzip", "x-gzip", "identity", "br", "zstd", "gzip, gzip", "gzip;q=1", 'a"b'],
)
@pytest.mark.parametrize("content_type", ["application/json", PROTOBUF])
def test_encodings_that_are_not_read(encoding: str, content_type: str) -> None:
    quoted = encoding.replace('"', '\\"')
    with pytest.raises(MediaTypeError) as error:
        admit.admit(b"{}", content_type, encoding, ROOM)
    assert error.value.message == f'Content-Encoding "{quoted}" not supported'


def inflated(body: bytes, room: Room = ROOM) -> bytes:
    """Of a JSON push."""
    return bytes(admit.admit(body, "application/json", "gzip", room).body)


def test_members_of_gzip_are_read_as_one() -> None:
    members = [b'{"a"', b"", b":", b"[1,2]" * 1000, b"}", b""]
    assert inflated(b"".join(map(gzip.compress, members))) == b"".join(members)
    assert inflated(gzip.compress(b"") * 5000 + gzip.compress(b"x")) == b"x"
    both = gzip.compress(snappy.compress(b"xy")[:1]) + gzip.compress(snappy.compress(b"xy")[1:])
    assert bytes(admit.admit(both, PROTOBUF, "gzip", ROOM).body) == b"xy"


def test_the_limit_counts_all_members() -> None:
    member = gzip.compress(b"\0" * (1 << 18))
    assert len(inflated(member * 4, SMALL)) == 1 << 20
    with pytest.raises(BodyTooLargeError):
        inflated(member * 5, SMALL)


@pytest.mark.parametrize(
    "behind",
    [b"\0", b"\0" * 64, b"garbage garbage garbage", b"\x1f\x8b", gzip.compress(b"abc")[:-1]],
    ids=["zero", "zeros", "text", "magic", "cut"],  # gzip's header holds the time
)
def test_what_follows_gzip_must_be_gzip(behind: bytes) -> None:
    with pytest.raises(PushFormatError):
        inflated(gzip.compress(b"{}") + behind)


@pytest.mark.parametrize("body", [b"", b"{}", zlib.compress(b"{}"), b"\x1f"])
def test_what_is_no_gzip(body: bytes) -> None:
    with pytest.raises(PushFormatError):
        inflated(body)
