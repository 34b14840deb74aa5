"""What do all sections of the configuration share?

As in Go: a key without a value is as if it were not there.
"""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator


def without_nulls(value: object) -> object:
    """A mapping less the keys that have no value."""
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if item is not None}


Labels = Annotated[dict[str, str], BeforeValidator(without_nulls)]
"""Label names to values; a name without a value is as if absent."""


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys are refused, defaults are checked too."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, arbitrary_types_allowed=True
    )

    @model_validator(mode="before")
    @classmethod
    def _keys_with_values(cls, value: object) -> object:
        return without_nulls(value)
