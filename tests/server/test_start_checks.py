"""Is what a start would refuse told by `narfi check-config` too, with the key and no traceback?"""

from pathlib import Path

import pytest

from narfi.cli.check_config import run
from narfi.core.errors import AppError


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("server: {http: 127.0.0.1}", "server.http: '127.0.0.1' is not an address; write"),
        ("server: {grpc: 'x:99999'}", "server.grpc: 'x:99999' is not an address"),
        ("server: {http: 'a:1', grpc: 'a:1'}", "server.grpc: a:1 is server.http too"),
        ("server: {tls: {cert_file: /none, key_file: /none}}", "server.tls: /none: No such file"),
        ("storage: {url: 'ftp://x'}", "storage.url: ftp:// is not known"),
        ("querier: {rules_off: nonsense}", "querier.rules_off: 'nonsense' is not a valid Rule"),
        ("ruler: {alertmanager_url: no url}", "ruler.alertmanager_url: 'no url' is no URL"),
        ("limits: {retention_stream: [{selector: '{a=}', period: 24h}]}", "{path}: limits: limit"),
    ],
)
def test_what_a_start_would_refuse(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "narfi.yaml"
    path.write_text(text)
    with pytest.raises(AppError) as caught:
        run(str(path), agent=False)
    assert caught.value.message.startswith(told.replace("{path}", str(path)))


def test_ports_that_the_system_chooses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "narfi.yaml"
    path.write_text("server: {http: '127.0.0.1:0', grpc: '127.0.0.1:0'}")
    run(str(path), agent=False)
    assert capsys.readouterr().out == f"{path}: ok\n"
