"""Does Ctrl-C end a command quietly, whatever it was doing, also while its modules load?"""

import signal
import subprocess
import sys
import time

import pytest

COMMAND = [sys.executable, "-m", "narfi.cli", "query", "--addr", "http://127.0.0.1:1", '{a="b"}']
SLOW = "import sys, time; from narfi.cli.entry import main; sys.meta_path.insert(0, Slow()); main()"
LOADING = f"""
import time
class Slow:
    def find_spec(self, name, *more):
        if name == "narfi.cli.main":
            print("loading", flush=True)
            time.sleep(60)
{SLOW}
"""


def test_while_modules_load() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LOADING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == "loading\n"
        time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        assert running.stderr.read() == ""
        assert running.wait() == -signal.SIGINT


@pytest.mark.parametrize("ignored", [False, True])
def test_a_command_is_run_as_ever(ignored: bool) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup does

    ended = subprocess.run(
        COMMAND,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=ignore if ignored else None,
    )
    assert ended.returncode == 1
    assert "cannot reach" in ended.stderr
