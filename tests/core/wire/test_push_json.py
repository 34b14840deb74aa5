"""Which JSON bodies are pushes? Go's rules: members in any case, the last of several, odd bytes."""

import pytest

from narfi.core.wire.push import PushFormatError
from narfi.core.wire.push_json import decode_push_json

TS = "1760018400000000000"
Entry = tuple[bytes, int, bytes, dict[bytes, bytes]]


def entries(body: str | bytes, *, legacy: bool = False) -> list[Entry]:
    """(labels, time, line, metadata) of every entry."""
    raw = body.encode() if isinstance(body, str) else body
    push = decode_push_json(raw, legacy=legacy)
    pairs: list[dict[bytes, bytes]] = [{} for _ in range(len(push))]
    names, values = push.pairs.name.to_list(), push.pairs.value.to_list()
    for row, name, value in zip(push.pairs.row.tolist(), names, values, strict=True):
        pairs[row][name or b""] = value or b""
    lines = [line or b"" for line in push.lines.to_list()]
    labels = [push.labels[number] for number in push.stream.tolist()]
    return list(zip(labels, push.ts.tolist(), lines, pairs, strict=True))


def one(stream: str = '{"a":"b"}', values: str = f'[["{TS}","x"]]') -> str:
    """A body with one stream."""
    return f'{{"streams":[{{"stream":{stream},"values":{values}}}]}}'


PLAIN: list[Entry] = [(b'{a="b"}', int(TS), b"x", {})]


@pytest.mark.parametrize(
    "body",
    [
        one(),
        f'{{"Streams":[{{"Stream":{{"a":"b"}},"Values":[["{TS}","x"]]}}]}}',
        f'{{"STREAMS":[{{"sTREAM":{{"a":"b"}},"VALUES":[["{TS}","x"]]}}]}}',
        f'{{"str\\u0065ams":[{{"stream":{{"a":"b"}},"val\\u0075es":[["{TS}","x"]]}}]}}',
        f'{{"streams":null,"Streams":[{{"stream":{{"a":"b"}},"values":[["{TS}","x"]]}}]}}',
        f'{{"streams":[{{"values":[["1","y"]],"stream":{{"a":"b"}},"values":[["{TS}","x"]]}}]}}',
        f'{{"streams":[{{"stream":{{"z":"z"}},"values":[["{TS}","x"]],"Stream":{{"a":"b"}}}}]}}',
        f'{{"x":1e999,"y":{{"streams":1}},"streams":[{{"stream":{{"a":"b"}},"values":[["{TS}","x"]],'
        '"hash":5}]}',
        one(stream='{"a":"c","a":"b"}'),
        one(values=f'[null,["{TS}","x"]]'),
        one(values=f'[["{TS}","x",{{}},"more",[1]]]'),
        one(values=f'[["00{TS}","x"]]'),
        one() + "trailing",
        one() + "]}",
        " \n\t" + one() + " \n",
    ],
)
def test_bodies_that_mean_one_plain_entry(body: str) -> None:
    assert entries(body) == PLAIN


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "5",
        '"streams"',
        "\ufeff" + one(),
        '{"streams":{}}',
        '{"streams":"x"}',
        '{"streams":false}',
        '{"streams":0}',
        '{"streams":[null]}',
        '{"streams":[[]]}',
        '{"streams":[5]}',
        one(stream="null"),
        one(stream="[]"),
        one(stream='"x"'),
        one(values="{}"),
        one(values='""'),
        one(values="false"),
        one(values="0"),
        one(values='["x"]'),
        one(values="[5]"),
        one(values="[{}]"),
        one(values="[[]]"),
        one(values=f'[[{TS},"x"]]'),
        one(values='[[null,"x"]]'),
        one(values='[["","x"]]'),
        one(values='[["1.5","x"]]'),
        one(values='[["1e9","x"]]'),
        one(values='[["+1","x"]]'),
        one(values='[["-","x"]]'),
        one(values='[[" 1","x"]]'),
        one(values='[["1_0","x"]]'),
        one(values='[["\u0661","x"]]'),
        one(values='[["9223372036854775808","x"]]'),
        one(values=f'[["{"9" * 5000}","x"]]'),
        one(values=f'[["{TS}",5]]'),
        one(values=f'[["{TS}",null]]'),
        one(values=f'[["{TS}",{{}}]]'),
        one(values=f'[["{TS}","x",null]]'),
        one(values=f'[["{TS}","x","m"]]'),
        one(values=f'[["{TS}","x",[]]]'),
        one(values=f'[["{TS}","x",5]]'),
        one(values=f'[["{TS}","x",{{"k":1}}]]'),
        one(values=f'[["{TS}","x",{{"k":null}}]]'),
        one(values=f'[["{TS}","x",{{"k":{{}}}}]]'),
        one(values=f'[["{TS}","\\ud83d"]]'),
        one(values=f'[["{TS}","\\x"]]'),
        one(values=f'[["{TS}","a\nb"]]'),
        one(values=f'[["{TS}","cut'),
        '{"x":' + "[" * 100_000,
        '{"x":NaN}',
    ],
)
def test_bodies_that_are_refused(body: str) -> None:
    with pytest.raises(PushFormatError):
        decode_push_json(body.encode(), legacy=False)


def test_refusals_name_what_is_wrong() -> None:
    prefix = "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: unmarshalerDecoder: "
    for body, text in (
        (one(values=f'[["{TS}","x",null]]'), "Value looks like object, but can't find closing '}'"),
        (one(values=f'[["{TS}",5]]'), "Value is string, but can't find closing '\"'"),
        (one(values='[["x","x"]]'), "Value looks like Number/Boolean/None, but can't find its end"),
    ):
        with pytest.raises(PushFormatError) as error:
            decode_push_json(body.encode(), legacy=False)
        assert error.value.message.startswith(prefix + text)


@pytest.mark.parametrize("body", ["null", "{}", '{"streams":[]}', '{"streams":null}', '{"x":1}'])
def test_nothing_is_no_stream(body: str) -> None:
    assert decode_push_json(body.encode(), legacy=False).labels == ()


def test_streams_without_entries() -> None:
    body = '{"streams":[{},{"stream":{"a":"b"}},{"values":null},{"stream":{},"values":[]}]}'
    push = decode_push_json(body.encode(), legacy=False)
    assert (push.labels, len(push)) == ((b"{}", b'{a="b"}', b"{}", b"{}"), 0)


def test_label_values_that_are_no_texts_count_as_they_are_written() -> None:
    stream = '{"i":1,"f":1.50,"big":123456789012345678901234,"t":true,"n":null,"o":{"x":[1,"y"]}}'
    ((labels, *_),) = entries(one(stream=stream))
    assert labels == (
        b'{big="123456789012345678901234", f="1.50", i="1", n="null", '
        b'o="{\\"x\\":[1,\\"y\\"]}", t="true"}'
    )


def test_negative_and_short_times() -> None:
    found = entries(one(values='[["-5","x"],["0","y"],["9223372036854775807","z"]]'))
    assert [ts for _, ts, _, _ in found] == [-5, 0, 2**63 - 1]


def test_bytes_that_are_not_utf8_are_kept() -> None:
    body = one(stream='{"a":"@"}', values=f'[["{TS}","caf@ \u00e9",{{"k":"@"}}]]')
    found = entries(body.encode().replace(b"@", b"\xe9"))
    line = b"caf\xe9 \xc3\xa9"
    assert found == [(b'{a="\\xe9"}', int(TS), line, {b"k": b"\xe9"})]


def test_escapes() -> None:
    body = one(stream='{"a":"\\"\\n"}', values=f'[["{TS}","\\u00e9\\ud83d\\ude00\\/\\u0000"]]')
    assert entries(body) == [(b'{a="\\"\\n"}', int(TS), "é😀/\0".encode(), {})]


V0 = '{"streams":[{"labels":"{a=\\"b\\"}","entries":[%s]}]}'


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ('{"ts":"2025-10-09T14:00:00Z","line":"x"}', (int(TS), b"x", {})),
        ('{"TS":"2025-10-09T16:00:00+02:00","Line":"x"}', (int(TS), b"x", {})),
        ('{"ts":"2025-10-09T14:00:00.000000001Z","line":null}', (int(TS) + 1, b"", {})),
        (
            '{"ts":"2025-10-09T14:00:00Z","line":"x","STRUCTUREDMETADATA":{"k":"v"}}',
            (int(TS), b"x", {b"k": b"v"}),
        ),
    ],
)
def test_the_older_form(entry: str, found: tuple[int, bytes, dict[bytes, bytes]]) -> None:
    assert entries(V0 % entry, legacy=True) == [(b'{a="b"}', *found)]


@pytest.mark.parametrize(
    "entry",
    [
        "[]",
        "5",
        "{}",
        '{"ts":5,"line":"x"}',
        '{"ts":"x","line":"x"}',
        '{"ts":"2025-10-09T14:00:00","line":"x"}',
        '{"ts":"9999-01-01T00:00:00Z","line":"x"}',
        '{"ts":"0001-01-01T00:00:00Z","line":"x"}',
        '{"ts":"2025-10-09T14:00:00Z","line":5}',
        '{"ts":"2025-10-09T14:00:00Z","line":"x","structuredMetadata":[]}',
        '{"ts":"2025-10-09T14:00:00Z","line":"x","structuredMetadata":{"k":1}}',
    ],
)
def test_entries_of_the_older_form_that_are_refused(entry: str) -> None:
    with pytest.raises(PushFormatError):
        decode_push_json((V0 % entry).encode(), legacy=True)
