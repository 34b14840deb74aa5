"""Which stages are there? One line a stage; a module has `Config`, `EXAMPLE` and `build`."""

from collections.abc import Mapping
from typing import Any, Protocol

from promtail_agent.stages import (
    cri,
    decolorize,
    docker,
    drop,
    eventlogmessage,
    geoip,
    json,
    labelallow,
    labeldrop,
    labels,
    limit,
    logfmt,
    match,
    metrics,
    multiline,
    output,
    pack,
    regex,
    replace,
    sampling,
    static_labels,
    structured_metadata,
    template,
    tenant,
    timestamp,
)
from promtail_agent.stages.base import Stage, StageContext


class StageModule(Protocol):
    """What the registry asks of a stage's file."""

    Config: Any  # a pydantic model class; each stage has its own
    EXAMPLE: str

    def build(self, config: Any, context: StageContext) -> Stage:
        """The stage of a validated config."""
        ...


_MODULES: Mapping[str, Any] = {  # Any: modules differ in the type of their Config
    "cri": cri,
    "decolorize": decolorize,
    "docker": docker,
    "drop": drop,
    "eventlogmessage": eventlogmessage,
    "geoip": geoip,
    "json": json,
    "labelallow": labelallow,
    "labeldrop": labeldrop,
    "labels": labels,
    "limit": limit,
    "logfmt": logfmt,
    "match": match,
    "metrics": metrics,
    "multiline": multiline,
    "non_indexed_labels": structured_metadata,
    "output": output,
    "pack": pack,
    "regex": regex,
    "replace": replace,
    "sampling": sampling,
    "static_labels": static_labels,
    "structured_metadata": structured_metadata,
    "template": template,
    "tenant": tenant,
    "timestamp": timestamp,
}
STAGES: Mapping[str, StageModule] = _MODULES
