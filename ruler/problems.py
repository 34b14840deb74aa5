"""What cannot be used, and why? A file, group or rule; told by API, `/status` and a metric."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is not in force as it is written."""

    reason: str
    tenant: str = ""
    namespace: str = ""  # a file's name
    group: str = ""  # "": the whole file
    rule: str = ""  # "": the whole group
    kept: bool = False  # the version before goes on

    def text(self) -> str:
        """One line for people."""
        parts = [self.namespace]
        parts += [f"group {self.group}"] if self.group else []
        parts += [f"rule {self.rule}"] if self.rule else []
        end = " (the version before is in force)" if self.kept else ""
        return f"{', '.join(part for part in parts if part)}: {self.reason}{end}"
