"""What does `pack.yaml` say? Whose logs these are, their formats, and all that may come of them.

`labels` with every value and `fields` are promises: what a pack adds besides is a fault that
`narfi packs test` finds. A component is a word in which `*` stands for any characters.
"""

import string
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from narfi.core.errors import AppError
from narfi.core.regex import compile_regex
from promtail_agent.config_base import Labels, Section, without_nulls

NAME = r"[a-z0-9][a-z0-9-]*"
"""What a pack may be called: it is the value of a label, and part of a rule namespace."""


_IN_A_WORD = frozenset(string.ascii_letters + string.digits + "-_.*")


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""A word, or a list of them."""


def checked_regex(value: str) -> str:
    """The expression; raises `ValueError` where it is none."""
    try:
        compile_regex(value)
    except AppError as error:
        raise ValueError(error.message) from error
    return value


class Match(Section):
    """What tells that a target is of this system: all conditions of one clause must hold.

    Values are anchored expressions.
    """

    kubernetes: Labels = Field(default_factory=dict)
    """Labels of the pod."""
    namespace: str = ""
    container: str = ""
    image: str = ""
    """Of a pod's container."""
    docker: str = ""
    """Name of a Docker container."""
    unit: str = ""
    """Unit of systemd's journal."""
    syslog: str = ""
    """Name of the program that sends by syslog."""
    labels: Labels = Field(default_factory=dict)
    """Labels that the job has set, by relabelling or for static targets."""
    component: str = ""
    """What such a target is of the system; else the job's own label `component`."""
    service_name: str = ""
    """Else the job's own."""

    @model_validator(mode="after")
    def _says_something(self) -> "Match":
        conditions = self.conditions()
        if not conditions:
            raise ValueError("a clause of `match` without a condition takes everything")
        for _, expression in conditions:
            checked_regex(expression)
        return self

    def conditions(self) -> list[tuple[str, str]]:
        """Labels of a target before relabelling, and the expressions of their values."""
        found = [(_pod_label(name), value) for name, value in self.kubernetes.items()]
        found += self.labels.items()
        plain = {
            "__meta_kubernetes_namespace": self.namespace,
            "__meta_kubernetes_pod_container_name": self.container,
            "__meta_kubernetes_pod_container_image": self.image,
            "__meta_docker_container_name": self.docker,
            "__journal__systemd_unit": self.unit,
            "__syslog_message_app_name": self.syslog,
        }
        return found + [(name, value) for name, value in plain.items() if value]


def _pod_label(name: str) -> str:
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
    return f"__meta_kubernetes_pod_label_{plain}"


class StreamFormat(Section):
    """Which format a component's lines have; the first that fits a line takes it."""

    component: Words
    format: str
    detect: str = ""
    """An expression that is found in lines of this format; none: in all that are left."""

    @field_validator("component")
    @classmethod
    def _plain(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            if not word or set(word) - _IN_A_WORD:
                raise ValueError(f'"{word}" is no component: letters, digits, - _ . and * for any')
        return value

    @field_validator("detect")
    @classmethod
    def _expression(cls, value: str) -> str:
        return checked_regex(value)


class Manifest(Section):
    """The whole file."""

    name: str = Field(pattern=f"^{NAME}$")
    title: str
    version: int = 1
    extends: str = ""
    """A pack whose match, streams, labels and fields come first; own stages follow its stages."""
    tested_with: Labels = Field(default_factory=dict)
    match: tuple[Match, ...] = ()
    streams: tuple[StreamFormat, ...] = ()
    labels: Annotated[dict[str, Words], BeforeValidator(without_nulls)] = Field(
        default_factory=dict
    )
    fields: Annotated[
        dict[str, Literal["text", "number", "duration"]], BeforeValidator(without_nulls)
    ] = Field(default_factory=dict)
    variables: Labels = Field(default_factory=dict)
    """`selector`: the matchers that queries, rules and panels begin with."""
    max_streams: int = Field(default=10, gt=0)
    """Streams that the lines of one component become at most."""

    @property
    def selector(self) -> str:
        """The matchers of all its queries."""
        return self.variables.get("selector", f'service_name=~"{self.name}.*"')
