"""Which forms are there? One line each."""

from collections.abc import Callable, Mapping, Sequence

from narfi.core.errors import InvalidRequestError
from querier.export.csv_rows import CsvForm
from querier.export.form import Form
from querier.export.jsonl import JsonLinesForm
from querier.export.otlp import OtlpForm
from querier.export.parquet import ParquetForm
from querier.export.text import TextForm

FORMS: Mapping[str, Callable[[Sequence[str]], Form]] = {
    "jsonl": lambda _: JsonLinesForm(),
    "csv": CsvForm,
    "txt": lambda _: TextForm(),
    "otlp": lambda _: OtlpForm(),
    "parquet": lambda _: ParquetForm(),
}
"""By the name in a request; each is made with the columns that were asked for."""


def form_of(name: str, columns: Sequence[str]) -> Form:
    """A new one; raises `InvalidRequestError`."""
    made = FORMS.get(name)
    if made is None:
        raise InvalidRequestError(f"invalid format {name!r}: it is one of {', '.join(FORMS)}")
    return made(columns)
