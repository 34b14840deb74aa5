"""Does each message of a connection come out once, however it is framed and reads are cut?"""

import pytest

from promtail_agent.targets.syslog_framing import Framed, datagram, frames

CASES = {
    "newlines": (b"<1>a\n<1>b\n\n<1>c", [b"<1>a", b"<1>b", b"<1>c"]),
    "counted": (b"4 <1>a5 <1>bc", [b"<1>a", b"<1>bc"]),
    "counted, with newlines within and at the end": (b"6 <1>a\nb5 <1>b\n", [b"<1>a\nb", b"<1>b"]),
    "counted, and a newline between": (b"4 <1>a\n4 <1>b\n", [b"<1>a", b"<1>b"]),
    "both by turns": (b"4 <1>a<1>b\n4 <1>c<1>d\n", [b"<1>a", b"<1>b", b"<1>c", b"<1>d"]),
    "carriage returns and NULs": (
        b"<1>a\r\n<1>b\0<1>c\0\n<1>d\n\0",
        [b"<1>a", b"<1>b", b"<1>c", b"<1>d"],
    ),
    "no priority": (
        b"hello\n12 monkeys\n2025-01-01 x\n",
        [b"hello", b"12 monkeys", b"2025-01-01 x"],
    ),
    "counted without a priority, after one with": (b"4 <1>a3 xyz", [b"<1>a", b"xyz"]),
    "a number alone": (b"123\n1234567890 <1>a\n5", [b"123", b"1234567890 <1>a", b"5"]),
    "cut off by the end": (b"<1>a\n9 <1>b", [b"<1>a", b"<1>b"]),
    "blanks before": (b"  <1>a\n", [b"  <1>a"]),
    "a byte order mark": (b"\xef\xbb\xbf<1>a\n", [b"\xef\xbb\xbf<1>a"]),
    "nothing": (b"", []),
    "ends only": (b"\n\r\n\0\n", []),
}


def read_of(data: bytes, chunk: int):  # type: ignore[no-untyped-def]
    """What gives `data` in pieces."""
    rest = bytearray(data)

    def read(size: int) -> bytes:
        part = bytes(rest[: min(size, chunk)])
        del rest[: len(part)]
        return part

    return read


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("name", CASES)
def test_messages_do_not_depend_on_where_reads_are_cut(name: str, chunk: int) -> None:
    data, expected = CASES[name]
    assert list(frames(read_of(data, chunk), 20)) == [Framed(one) for one in expected]


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_a_long_message_is_cut_and_says_by_how_much(chunk: int) -> None:
    long = b"<1>" + b"x" * 50
    for data in (long + b"\n<1>b\n", b"53 " + long + b"<1>b\n", long + b"\0<1>b"):
        assert list(frames(read_of(data, chunk), 20)) == [Framed(long[:20], 33), Framed(b"<1>b")]
    # what only ends a message does not make it too long
    exact = b"<1>" + b"x" * 17
    for end in (b"\n", b"\r\n", b"\0\n"):
        assert list(frames(read_of(exact + end, chunk), 20)) == [Framed(exact)]
    assert list(frames(read_of(b"22 " + exact + b"\r\n", chunk), 20)) == [Framed(exact)]


def test_a_datagram_is_one_message() -> None:
    assert datagram(b"<1>a\nb\n", 20) == Framed(b"<1>a\nb")
    assert datagram(b"<1>a\0", 20) == Framed(b"<1>a")
    assert datagram(b"<1>" + b"x" * 20, 20) == Framed(b"<1>" + b"x" * 17, 3)
    assert datagram(b"", 20) == Framed(b"")
