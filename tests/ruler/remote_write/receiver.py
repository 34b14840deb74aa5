"""A receiver of remote writes for tests: it reads bodies with protobuf's own code."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import snappy
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

Answer = tuple[int, dict[str, str]]
OPTIONAL, REPEATED = FieldDescriptorProto.LABEL_OPTIONAL, FieldDescriptorProto.LABEL_REPEATED
STRING, DOUBLE, INT64, MESSAGE = 9, 1, 3, 11


def write_request() -> type:
    """The message class, made from the published schema's facts: names, numbers and types."""
    file = FileDescriptorProto(name="remote.proto", package="prometheus", syntax="proto3")
    fields = {
        "Label": [("name", 1, STRING, ""), ("value", 2, STRING, "")],
        "Sample": [("value", 1, DOUBLE, ""), ("timestamp", 2, INT64, "")],
        "TimeSeries": [("labels", 1, MESSAGE, "Label"), ("samples", 2, MESSAGE, "Sample")],
        "WriteRequest": [("timeseries", 1, MESSAGE, "TimeSeries")],
    }
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of in members:
            label = REPEATED if of else OPTIONAL
            added = message.field.add(name=field, number=number, type=kind, label=label)
            if of:
                added.type_name = f".prometheus.{of}"
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))


class Receiver:
    """A receiver of remote writes that remembers; `answers` are what it says first, by tenant."""

    def __init__(self) -> None:
        self.url = ""
        self.changed = threading.Condition()
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[tuple[float, dict[str, str]]] = []
        self.values: list[tuple[str, str, int, float]] = []

    def take(self, headers: dict[str, str], body: bytes) -> Answer:
        """What to answer."""
        message = write_request()()
        message.ParseFromString(snappy.decompress(body))
        tenant = headers.get("x-scope-orgid", "")
        with self.changed:
            self.requests.append((time.monotonic(), headers))
            answers = self.answers.get(tenant)
            answer = answers.pop(0) if answers else (204, {})
            if answer[0] == http.client.NO_CONTENT:
                for series in message.timeseries:
                    name = "/".join(label.value for label in series.labels)
                    sample = series.samples[0]
                    self.values.append((tenant, name, sample.timestamp, sample.value))
            self.changed.notify_all()
        return answer

    def wait_for(self, count: int) -> list[tuple[str, str, int, float]]:
        """The values, once there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.values) >= count, 60), self.values
            return list(self.values)


@contextmanager
def metrics_receiver() -> Iterator[Receiver]:
    """One that listens."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            status, more = found.take(headers, body)
            self.send_response(status)
            for name, value in {**more, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/api/v1/write"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
