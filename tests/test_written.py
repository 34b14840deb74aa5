"""Does a test that reads a growing log see whole lines only?"""

from pathlib import Path

from tests.written import whole_lines


def test_only_lines_with_an_end_are_seen(tmp_path: Path) -> None:
    path, content = tmp_path / "log", "one\n\nzwölf \u2028 \x0c\r\nhalf ö\n".encode()
    assert whole_lines(path) == []
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        ended = content[:size].count(b"\n")
        assert whole_lines(path) == ["one", "", "zwölf \u2028 \x0c\r", "half ö"][:ended]
