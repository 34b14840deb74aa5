"""Is the end of a certificate found where OpenSSL finds it, and damage told as a `ValueError`?"""

import contextlib
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.certificate import expires_at


def made(folder: Path, days: int, *more: str) -> bytes:
    """A certificate of its own authority that is good for so many days."""
    key, cert = folder / "key", folder / "cert"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=a/O=b"]
    command += ["-days", str(days), "-keyout", str(key), "-out", str(cert), *more]
    subprocess.run(command, check=True, capture_output=True)
    return cert.read_bytes()


def told(folder: Path) -> float:
    """What OpenSSL says of the last one."""
    command = ["openssl", "x509", "-noout", "-enddate", "-in", str(folder / "cert")]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = datetime.strptime(f"{text.strip()} +0000", "notAfter=%b %d %H:%M:%S %Y GMT %z")
    return found.timestamp()


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Good for ten days."""
    return made(tmp_path_factory.mktemp("cert"), 10)


@pytest.mark.parametrize("days", [1, 365, 20_000])
def test_openssl_says_the_same(tmp_path: Path, days: int) -> None:
    """20,000 days lead beyond 2049, from where on years have four digits."""
    found = expires_at(made(tmp_path, days))
    assert found == told(tmp_path)
    ends = datetime.now(UTC) + timedelta(days=days)
    assert abs(found - ends.timestamp()) < 3600


def test_the_first_of_a_chain_counts(tmp_path: Path, pem: bytes) -> None:
    long = made(tmp_path, 300)
    assert expires_at(b"a text\n" + long + pem) == expires_at(pem + long) == expires_at(pem)


@pytest.mark.parametrize("wrong", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----"])
def test_a_file_without_certificate(wrong: bytes) -> None:
    with pytest.raises(ValueError, match="no certificate"):
        expires_at(wrong)


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"\x30\x02\x30\x00", b"\x30\x84"])
def test_a_certificate_that_holds_nothing(der: bytes) -> None:
    with pytest.raises(ValueError, match="certificate"):
        expires_at(ssl.DER_cert_to_PEM_cert(der).encode())


@given(data=st.data())
def test_damage_is_one_kind_of_error(pem: bytes, data: st.DataObject) -> None:
    der = bytearray(ssl.PEM_cert_to_DER_cert(pem.decode()))
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    der = der[: data.draw(st.integers(0, len(der)))]
    with contextlib.suppress(ValueError):
        assert isinstance(expires_at(ssl.DER_cert_to_PEM_cert(bytes(der)).encode()), float)
