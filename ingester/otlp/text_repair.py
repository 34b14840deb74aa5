"""What of an export whose texts are not all UTF-8? Read with texts as bytes, mended, read again.

Collectors pass on what files hold, in any encoding; the generated messages refuse such texts. Bytes
that are no characters become U+FFFD. Only used when an export could not be read.
"""

from collections.abc import Iterator
from functools import cache

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

_FILES = (common_pb2, resource_pb2, logs_pb2, logs_service_pb2)


def with_valid_texts(message: bytes) -> bytes:
    """The serialised export with every text UTF-8; `DecodeError` when it is none."""
    kind, texts = _untyped_export()
    found = kind.FromString(message)
    _mend(found, texts)
    return found.SerializeToString()


@cache
def _untyped_export() -> tuple[type[Message], frozenset[str]]:
    """The message with bytes instead of texts, and the full names of the fields that are texts."""
    pool, texts = DescriptorPool(), set()
    for module in _FILES:
        file = FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        for scope, described in _messages(file):
            for field in described.field:
                if field.type == FieldDescriptorProto.TYPE_STRING:
                    field.type = FieldDescriptorProto.TYPE_BYTES
                    texts.add(f"{scope}.{field.name}")
        pool.Add(file)
    name = logs_service_pb2.ExportLogsServiceRequest.DESCRIPTOR.full_name
    return GetMessageClass(pool.FindMessageTypeByName(name)), frozenset(texts)


def _messages(file: FileDescriptorProto) -> Iterator[tuple[str, DescriptorProto]]:
    """Every message of a file under its full name."""
    waiting = [(f"{file.package}.{found.name}", found) for found in file.message_type]
    while waiting:
        name, found = waiting.pop()
        yield name, found
        waiting += [(f"{name}.{inner.name}", inner) for inner in found.nested_type]


def _mend(message: Message, texts: frozenset[str]) -> None:
    for field, value in message.ListFields():
        many = field.is_repeated
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if many else (value,):
                _mend(inner, texts)
        elif field.full_name in texts:
            if many:
                value[:] = [_utf8(text) for text in value]
            else:
                setattr(message, field.name, _utf8(value))


def _utf8(text: bytes) -> bytes:
    return text.decode("utf-8", "replace").encode()
