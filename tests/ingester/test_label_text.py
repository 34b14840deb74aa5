"""Is label text read as Prometheus reads it?"""

import time

import pytest

from ingester.label_text import LabelPairs, LabelTextError, parse_label_text


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", ()),
        (" \t\n", ()),
        ("{}", ()),
        ("# only a comment", ()),
        ('{a="b"}', (("a", "b"),)),
        ("{ a = \"b\" , c='d', e=`f`, }", (("a", "b"), ("c", "d"), ("e", "f"))),
        ('{b="1",a="2",b="3"}', (("b", "1"), ("a", "2"), ("b", "3"))),
        ('{a=""}', (("a", ""),)),
        ("up", (("__name__", "up"),)),
        ("a:b", (("__name__", "a:b"),)),
        ('up{a="b"}', (("__name__", "up"), ("a", "b"))),
        ('{"up", a="b"}', (("__name__", "up"), ("a", "b"))),
        ('{"a.b"="c"}', (("a.b", "c"),)),
        ('{a="b"} # behind', (("a", "b"),)),
        ('{a="b", # within\n c="d"}', (("a", "b"), ("c", "d"))),
        ('{a="#"}', (("a", "#"),)),
        ("{a=`x\ny\\n`}", (("a", "x\ny\\n"),)),
        (r'{a="\x41\101\u00e9\U0001f600\n\\\""}', (("a", 'AAé😀\n\\"'),)),
        (r'{a="\xc3\xa9"}', (("a", "é"),)),
        (r'{a="\xff\377"}', (("a", "\ufffd\ufffd"),)),
    ],
)
def test_labels(text: str, pairs: LabelPairs) -> None:
    assert parse_label_text(text) == pairs


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        "{,}",
        "-",
        "1a",
        '{a="b"',
        '{a="b',
        '{a="b"}}',
        '{a="b"}{c="d"}',
        '{a="b",,}',
        '{a="b" c="d"}',
        '{a:b="c"}',
        '{a=~"b"}',
        '{a!="b"}',
        "{a=b}",
        "{a}",
        '{""="b"}',
        '{a="x\ny"}',
        r'{a="\q"}',
        r'{a="\x+1"}',
        r'{a="\x4"}',
        r'{a="\400"}',
        r'{a="\18"}',
        r'{a="\ud800"}',
        r'{a="\U00110000"}',
        r'{a="\u12"}',
    ],
)
def test_texts_that_are_no_labels(text: str) -> None:
    with pytest.raises(LabelTextError, match=r"^couldn't parse labels: 1:"):
        parse_label_text(text)


@pytest.mark.parametrize("mark", ['"', "'", "`"])
def test_megabytes_are_read_at_once(mark: str) -> None:
    value = "x" * (16 << 20)
    began = time.process_time()
    assert parse_label_text(f"{{ {' ' * (16 << 20)} a={mark}{value}{mark}}}") == (("a", value),)
    assert time.process_time() - began < 2  # 8 s with a loop over the characters
