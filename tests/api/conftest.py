"""Who asks, and what comes back; the server they ask is a fixture of `tests/served.py`."""

from tests.served import Answer, Api

__all__ = ["Answer", "Api"]
