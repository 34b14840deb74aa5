"""What does a client get for its push, over HTTP and gRPC? Never a 5xx for what it sent."""

import gzip
import json
import time
from typing import Any

import grpc
import pytest
import snappy

from narfi.core.wire.push_encode import encode_push, encode_push_request
from tests.api.conftest import Answer, Api

JSON = {"Content-Type": "application/json"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}
PUSH, LEGACY, OTLP = "/loki/api/v1/push", "/api/prom/push", "/otlp/v1/logs"
RESERVED = (
    "streams must not contain the reserved labels __backfill__ or __backfill_shard__; set the "
    "X-Loki-Backfill-Shard header to mark a push as backfill data"
)


def push(api: Api, body: bytes, headers: dict[str, str], path: str = PUSH) -> Answer:
    """A push of any body."""
    return api.send("POST", path, body, headers)


def body_of(labels: dict[str, str], *entries: list[object]) -> bytes:
    """A JSON push of one stream."""
    return json.dumps({"streams": [{"stream": labels, "values": entries}]}).encode()


def lines(api: Api, query: str) -> list[tuple[dict[str, str], str]]:
    """(labels, line) of what a selector finds in a day around now, oldest first."""
    now = time.time_ns()
    day = 86400 * 10**9
    answer = api.get(
        "/loki/api/v1/query_range",
        query=query,
        start=str(now - day),
        end=str(now + day),
        direction="forward",
    )
    found = answer.json["data"]["result"]
    pairs = [(int(ts), s["stream"], line) for s in found for ts, line, *_ in s["values"]]
    return [(labels, line) for _, labels, line in sorted(pairs, key=lambda pair: pair[0])]


def test_members_in_another_case_and_gzip_of_several_members(api: Api) -> None:
    now = time.time_ns()
    text = f'{{"Streams":[{{"Stream":{{"a":"case"}},"Values":[["{now}","x"]]}}]}}'.encode()
    packed = gzip.compress(text[:10]) + gzip.compress(text[10:])
    assert push(api, packed, {**JSON, "Content-Encoding": "gzip"}).status == 204
    assert [line for _, line in lines(api, '{a="case"}')] == ["x"]
    assert push(api, packed + b"garbage", {**JSON, "Content-Encoding": "gzip"}).status == 400


def test_no_label_text_is_a_stream_without_labels(api: Api) -> None:
    now = time.time_ns()
    assert push(api, encode_push([("", [(now, b"bare", ())])]), PROTOBUF).status == 204
    assert [line for _, line in lines(api, '{service_name="unknown_service"}')] == ["bare"]


@pytest.mark.parametrize("name", ["__backfill__", "__backfill_shard__"])
def test_labels_of_a_backfill_are_the_servers(api: Api, name: str) -> None:
    now = time.time_ns()
    good = {"stream": {"a": "with-reserved"}, "values": [[str(now), "x"]]}
    bad = {"stream": {"a": "with-reserved", name: "x"}, "values": [[str(now), "y"]]}
    refused = push(api, json.dumps({"streams": [good, bad]}).encode(), JSON)
    assert (refused.status, refused.text) == (400, RESERVED + "\n")
    assert lines(api, '{a="with-reserved"}') == []
    text = f'{{a="with-reserved", {name}="x"}}'
    refused = push(api, encode_push([(text, [(now, b"y", ())])]), PROTOBUF)
    assert (refused.status, refused.text) == (400, RESERVED + "\n")
    message = encode_push_request([(text, [(now, b"y", ())])])
    with grpc.insecure_channel(api.grpc) as channel:
        call = channel.unary_unary("/logproto.Pusher/Push")
        with pytest.raises(grpc.RpcError) as error:
            call(message, metadata=(("x-scope-orgid", api.tenant),), timeout=60)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.value.details() == RESERVED
    # an empty value is no label
    assert push(api, body_of({"a": "fine", name: ""}, [str(now), "x"]), JSON).status == 204


def test_the_header_of_a_backfill(api: Api) -> None:
    now = time.time_ns()
    header = {**JSON, "X-Loki-Backfill-Shard": "2026-06"}
    assert push(api, body_of({"a": "filled"}, [str(now), "x"]), header).status == 204
    ((labels, _),) = lines(api, '{a="filled"}')
    assert (labels["__backfill__"], labels["__backfill_shard__"]) == ("true", "2026-06")
    reserved = push(api, body_of({"__backfill__": "true"}, [str(now), "x"]), header)
    assert (reserved.status, reserved.text) == (400, RESERVED + "\n")
    long = push(
        api, body_of({"a": "b"}, [str(now), "x"]), {**header, "X-Loki-Backfill-Shard": "s" * 200}
    )
    text = "invalid X-Loki-Backfill-Shard header: value length 200 exceeds limit of 128\n"
    assert (long.status, long.text) == (400, text)


def test_labels_longer_than_a_request_may_have(api: Api) -> None:
    text = '{a="' + "x" * (17 << 20) + '"}'
    answer = push(api, encode_push([(text, [(time.time_ns(), b"x", ())])]), PROTOBUF)
    assert answer.status == 413
    assert answer.text == (
        "request body too large: stream labels size 18 MB exceeds limit of 17 MB\n"
    )


NOW = str(time.time_ns())
ODD_METADATA = [[NOW, "x", {"": "v"}], [NOW, "x", {"_": "v"}], [NOW, "x", None]]


@pytest.mark.parametrize("entry", ODD_METADATA)
def test_metadata_that_cannot_be_kept(api: Api, entry: list[object]) -> None:
    assert push(api, body_of({"a": "odd"}, entry), JSON).status == 400
    assert lines(api, '{a="odd"}') == []


def test_otlp_attributes_without_a_key(api: Api) -> None:
    record = {
        "timeUnixNano": str(time.time_ns()),
        "body": {"stringValue": "x"},
        "attributes": [{"key": "", "value": {"stringValue": "v"}}],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "keyless"}}]}
    scopes = [{"logRecords": [record]}]
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": scopes}]}
    assert push(api, json.dumps(body).encode(), JSON, OTLP).status == 204
    ((labels, line),) = lines(api, '{service_name="keyless"}')
    assert (labels, line) == (
        {"service_name": "keyless", "detected_level": "unknown"},
        "x",
    )


ANYTHING = [
    b"",
    b"\0",
    b"\xff" * 40,
    b"[" * 3000,
    b'{"streams":[{"stream":{"a":"\\ud800"},"values":[["1","x"]]}]}',
    b'{"streams":[{"stream":{"":"x"},"values":[["1","x"]]}]}',
    b'{"streams":[{"labels":"{a=\\"\\\\ud800\\"}","entries":[]}]}',
    b'{"streams":[{"labels":"{a=\\"b\\"}","entries":[{"ts":"9999-12-31T23:59:59Z"}]}]}',
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":1e300}]}]}]}',
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"bytesValue":5}}]}]}]}',
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[{"key":"_"}]}]}]}]}',
    encode_push_request([('{a="\\ud800"}', [(5, b"x", ())])]),
    encode_push_request([('{a="b"}', [(2**80, b"x", ())])]),
    encode_push_request([('{a="b"}', [(5, b"x", (("", "v"),))])]),
]


@pytest.mark.parametrize("path", [PUSH, LEGACY, OTLP])
@pytest.mark.parametrize("headers", [JSON, PROTOBUF], ids=["json", "protobuf"])
@pytest.mark.parametrize("encoding", ["", "gzip", "snappy", "deflate", "zstd"])
def test_no_body_is_an_error_of_the_server(
    api: Api, path: str, headers: dict[str, str], encoding: str
) -> None:
    given = {**headers, **({"Content-Encoding": encoding} if encoding else {})}
    for body in ANYTHING:
        for sent in (body, snappy.compress(body), gzip.compress(body)):
            answer = push(api, bytes(sent), given, path)
            assert answer.status < 500, (body, answer.text)


def test_no_message_is_an_error_of_the_server(api: Api) -> None:
    services = (
        "/logproto.Pusher/Push",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    )
    fine = (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE)
    with grpc.insecure_channel(api.grpc) as channel:
        for service in services:
            call = channel.unary_unary(service)
            for body in ANYTHING:
                code = _code(call, body, api.tenant)
                assert code in fine, body


def _code(call: Any, body: bytes, tenant: str) -> grpc.StatusCode:
    try:
        call(body, metadata=(("x-scope-orgid", tenant),), timeout=60)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK
