"""Until when is a certificate good? Read out of its file, without a library of certificates.

A certificate is DER: values in values, each with a tag, a length and a content. The end of its
validity is at a fixed place (RFC 5280, 4.1): the second time of the fifth value of its body, or of
the fourth, where no version is given.
"""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

SEQUENCE, VERSION, UTC_TIME, GENERAL_TIME = 0x30, 0xA0, 0x17, 0x18
VALIDITY = 3
"""Values before it: serial number, algorithm, issuer."""
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def expires_at(pem: bytes) -> float:
    """When the first certificate of a file of one or a chain is over, in Unix seconds.

    Raises `ValueError` where there is none, or one that is damaged.
    """
    found = []
    for behind in pem.decode("ascii", "replace").split(BEGIN)[1:]:
        text, end, _ = behind.partition(END)
        if end:
            found.append(_end_of(ssl.PEM_cert_to_DER_cert(f"{BEGIN}{text}{END}")))
    if not found:
        raise ValueError("no certificate in PEM")
    return min(found)


def _end_of(der: bytes) -> float:
    body = list(_values(_first(_first(der))))
    if body and body[0][0] == VERSION:
        del body[0]
    if len(body) <= VALIDITY or body[VALIDITY][0] != SEQUENCE:
        raise ValueError("a certificate without times")
    times = list(_values(body[VALIDITY][1]))
    if len(times) != 2:
        raise ValueError("a certificate without times")
    return _seconds(*times[1])


def _first(der: bytes) -> bytes:
    for _, content in _values(der):
        return content
    raise ValueError("an empty certificate")


def _seconds(tag: int, content: bytes) -> float:
    text = content.decode("ascii")
    if tag == UTC_TIME:  # two digits of the year, of 1950 to 2049
        text = f"{'19' if text[:2] >= '50' else '20'}{text}"
    elif tag != GENERAL_TIME:
        raise ValueError("a time of an unknown kind")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _values(der: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each value, one behind another."""
    at = 0
    while at < len(der):
        if len(der) < at + 2:
            raise ValueError("a certificate that ends too early")
        tag, size, at = der[at], der[at + 1], at + 2
        if size & 0x80:
            digits = size & 0x7F
            size, at = int.from_bytes(der[at : at + digits], "big"), at + digits
        if at + size > len(der):
            raise ValueError("a certificate that ends too early")
        yield tag, der[at : at + size]
        at += size
