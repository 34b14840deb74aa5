"""How is a configuration of the agent read? As text, its environment put in, with lines of keys."""

import os
from pathlib import Path

from narfi.core.text.envsubst import SubstitutionError, expand_environment
from narfi.core.text.yaml_lines import (
    KeyPath,
    LinedYaml,
    YamlMistakeError,
    lined_yaml,
    path_text,
)
from promtail_agent.errors import ConfigError

__all__ = ["KeyPath", "LinedYaml", "load_lined_yaml", "path_text"]


def load_lined_yaml(file: Path, expand_env: bool) -> LinedYaml:
    """Read and parse a file; raises `ConfigError` naming the line of a syntax error."""
    try:
        return lined_yaml(_read(file, expand_env), str(file))
    except YamlMistakeError as error:
        raise ConfigError(error.message) from error


def _read(file: Path, expand_env: bool) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    if not expand_env:
        return text
    try:
        return expand_environment(text, os.environ)
    except SubstitutionError as error:
        line = text.count("\n", 0, error.offset) + 1
        raise ConfigError(f"{file}:{line}: {error.message}") from error
