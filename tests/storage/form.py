"""Which format has a block that a test writes, and what are its objects called?"""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from storage.block.identity import Layout
from storage.block.layout import FAMILY, FORMAT_VERSION, INDEX, LINES, ROWS, STREAMS, commit_of
from tests.storage import stored


@dataclass(frozen=True, slots=True)
class Form:
    """A format that is written, and the objects of a small block of it."""

    version: int

    @property
    def entries(self) -> str:
        """The file that holds the lines."""
        return LINES if self.version == 2 else FAMILY.format(name=0)

    @property
    def commit(self) -> str:
        """The object that makes the folder a block."""
        return commit_of(self.version)

    @property
    def opening(self) -> str:
        """An object that is read whole when the block is opened."""
        return STREAMS if self.version == 2 else INDEX

    @property
    def files(self) -> Sequence[str]:
        """All objects but the commit."""
        return (self.entries, STREAMS) if self.version == 2 else (self.entries, ROWS, STREAMS)

    @property
    def objects(self) -> Sequence[str]:
        """All of them."""
        return (*self.files, self.commit)

    @property
    def layout(self) -> Layout:
        """For who writes one."""
        return Layout(self.version)


FORMS = (Form(2), Form(3))
ORDINARY = Form(FORMAT_VERSION)
"""What is written where nothing else is asked for."""
FILES = [
    pytest.param(form, name, id=f"{form.version}-{name}") for form in FORMS for name in form.files
]
"""`(form, name)` of each file, for `parametrize` with an indirect `form`."""
OBJECTS = [
    pytest.param(form, name, id=f"{form.version}-{name}") for form in FORMS for name in form.objects
]
"""The same with what makes the folder a block."""


@pytest.fixture(params=FORMS, ids=lambda form: f"format-{form.version}")
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Form:
    """The format in which every `Stored` of the test writes: each test runs with both."""
    found: Form = request.param
    monkeypatch.setattr(stored, "LAYOUT", found.layout)
    return found
