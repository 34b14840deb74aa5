"""What does a Dockerfile say, and what does `.dockerignore` send to the builder?"""

import fnmatch
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/docker/Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continuation lines joined."""

    word: str
    rest: str

    @property
    def flags(self) -> dict[str, str]:
        """`--from=build` and its like."""
        words = self.rest.split()
        pairs = (word[2:].split("=", 1) for word in words if word.startswith("--"))
        return {pair[0]: pair[-1] for pair in pairs}

    @property
    def arguments(self) -> list[str]:
        """What stands behind the flags, as the shell would split it; a JSON list as its items."""
        words = [word for word in self.rest.split(" ") if not word.startswith("--")]
        text = " ".join(words).strip()
        return list(json.loads(text)) if text.startswith("[") else shlex.split(text)


@dataclass
class Stage:
    """From FROM to the next one."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, word: str) -> list[Instruction]:
        """Its instructions of one kind."""
        return [one for one in self.instructions if one.word == word]

    def pairs(self, word: str) -> dict[str, str]:
        """`NAME=value` of all ENV, LABEL or ARG."""
        words = [argument for one in self.all(word) for argument in one.arguments]
        return dict(argument.split("=", 1) for argument in words)


def instructions_of(text: str) -> list[Instruction]:
    """Comments left out, continued lines joined by a newline."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", "")
    return [Instruction(*line.split(" ", 1)) for line in joined.splitlines()]


def stages_of(text: str) -> tuple[dict[str, str], list[Stage]]:
    """Arguments before the first FROM, then the stages."""
    given: dict[str, str] = {}
    stages: list[Stage] = []
    for one in instructions_of(text):
        if one.word == "FROM":
            base, *rest = one.arguments
            for name, value in given.items():
                base = base.replace(f"${{{name}}}", value)
            stages.append(Stage(base, rest[1] if rest else ""))
        elif stages:
            stages[-1].instructions.append(one)
        else:
            assert one.word == "ARG"
            name, value = one.arguments[0].split("=", 1)
            given[name] = value
    return given, stages


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """`${NAME}` replaced."""
    for name, value in variables.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def is_sent(path: str) -> bool:
    """Whether the builder gets a file: the last pattern that matches it or a folder of it."""
    sent = True
    folders = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        wanted = pattern.startswith("!")
        pattern = pattern.removeprefix("!")
        if any(_matches(pattern, one) for one in folders):
            sent = wanted
    return sent


def _matches(pattern: str, path: str) -> bool:
    """Go's match, in which `*` crosses no slash; `**/` is any number of folders."""
    if pattern.startswith("**/"):
        return fnmatch.fnmatchcase(path.rsplit("/", 1)[-1], pattern[3:])
    parts, wanted = path.split("/"), pattern.split("/")
    pairs = zip(parts, wanted, strict=False)
    return len(parts) == len(wanted) and all(fnmatch.fnmatchcase(*pair) for pair in pairs)
