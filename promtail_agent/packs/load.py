"""Where do packs come from? Folders: those that are shipped, those of `NARFI_PACKS`, given ones.

A mistake is told by file, line and key. A format is looked for in the pack itself, then among those
that packs share (`common/`).
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from narfi.core.setting_mistakes import nearest_of
from promtail_agent.errors import ConfigError
from promtail_agent.packs.manifest import Manifest
from promtail_agent.packs.pack import Pack, RawStages
from promtail_agent.stage_reader import StageReader
from promtail_agent.yaml_lines import KeyPath, LinedYaml, load_lined_yaml
from promtail_agent.yaml_mistakes import mistake_texts

SHIPPED = Path(__file__).parents[2] / "packs"
FOLDERS_VARIABLE = "NARFI_PACKS"
"""Folders of packs, with `:` between; later ones win by name, and all over the shipped ones."""
COMMON = "common"
INCLUDE = "include"
"""A step of a format that stands for the stages of another: `- include: klog`."""


class Shelf:
    """Folders of packs; each pack is read once."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._known: dict[Path, Pack] = {}

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> "Shelf":
        """The shipped packs and those of `NARFI_PACKS`."""
        given = environment.get(FOLDERS_VARIABLE, "").split(":")
        return cls([SHIPPED, *(Path(text) for text in given if text)])

    def names(self) -> list[str]:
        """All packs that `find` knows by name."""
        found = {
            file.parent.name for folder in self._folders for file in folder.glob("*/pack.yaml")
        }
        return sorted(found)

    def missing(self) -> list[Path]:
        """Folders that were named and are none."""
        return [folder for folder in self._folders if not folder.is_dir()]

    def find(self, name: str, base: Path | None = None) -> Pack:
        """The pack of a name, or of a folder: a text with a `/`, relative to `base`.

        Raises `ConfigError`.
        """
        if "/" in name:
            return self._load((base or Path()) / name)
        for folder in reversed(self._folders):
            if (folder / name / "pack.yaml").is_file():
                return self._load(folder / name)
        near = nearest_of(name, self.names())
        meant = f'; did you mean "{near}"?' if near else ""
        told = "narfi packs list names those that are there"
        raise ConfigError(f'there is no pack "{name}"{meant}; {told}')

    def _load(self, folder: Path, within: tuple[Path, ...] = ()) -> Pack:
        folder = folder.absolute()
        known = self._known.get(folder)
        if known is not None:
            return known
        manifest = read_manifest(folder / "pack.yaml")
        base = None
        if manifest.extends:
            if folder in within:
                raise ConfigError(f"{folder / 'pack.yaml'}:1: extends: a pack extends itself")
            base = self._base(folder, manifest.extends, (*within, folder))
        pack = Pack(
            manifest=manifest, folder=folder, formats=self._formats(folder, manifest), base=base
        )
        self._known[folder] = pack
        return pack

    def _base(self, folder: Path, name: str, within: tuple[Path, ...]) -> Pack:
        for shelf in reversed(self._folders):
            there = shelf / name
            if there.absolute() != folder and (there / "pack.yaml").is_file():
                return self._load(there, within)
        raise ConfigError(f'{folder / "pack.yaml"}:1: extends: there is no pack "{name}"')

    def _formats(self, folder: Path, manifest: Manifest) -> dict[str, RawStages]:
        found: dict[str, RawStages] = {}
        for stream in manifest.streams:
            if stream.format not in found:
                found[stream.format] = self._format(folder, stream.format, ())
        return found

    def _format(self, folder: Path, name: str, within: tuple[str, ...]) -> RawStages:
        """A format's stages, with those that it includes in their places."""
        if name in within:
            raise ConfigError(f"{folder}: format {name} includes itself")
        own = folder / "stages" / f"{name}.yaml"
        places = [own, *(shelf / COMMON / f"{name}.yaml" for shelf in reversed(self._folders))]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            raise ConfigError(f'{folder / "pack.yaml"}: format "{name}": there is no {own}')
        stages: list[Mapping[str, Any]] = []
        for stage in read_stages(file):
            if list(stage) == [INCLUDE]:
                stages += self._format(folder, str(stage[INCLUDE]), (*within, name))
            else:
                stages.append(stage)
        return tuple(stages)


def read_manifest(file: Path) -> Manifest:
    """Raises `ConfigError` with a line for each mistake."""
    document = load_lined_yaml(file, expand_env=False)
    if not isinstance(document.value, dict):
        raise ConfigError(f"{file}:1: a manifest is a mapping of keys to values")
    try:
        return Manifest.model_validate(document.value)
    except ValidationError as error:
        raise ConfigError("\n".join(mistake_texts(document, (), error))) from error


def read_stages(file: Path) -> RawStages:
    """The stages of a format, checked; raises `ConfigError` with a line for each mistake."""
    document = load_lined_yaml(file, expand_env=False)
    value = document.value
    if not isinstance(value, list):
        raise ConfigError(f"{file}:1: a format is a list of stages")
    mistakes: list[str] = []
    notices: list[str] = []
    reader = StageReader(document, mistakes, notices)
    for i, stage in enumerate(value):
        if _is_include(document, (i,), stage, mistakes):
            continue
        reader.read_one((i,), stage)
    if mistakes or notices:
        raise ConfigError("\n".join([*mistakes, *notices]))
    found: RawStages = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def _is_include(document: LinedYaml, at: KeyPath, stage: object, mistakes: list[str]) -> bool:
    if not isinstance(stage, dict) or INCLUDE not in stage:
        return False
    if len(stage) != 1 or not isinstance(stage[INCLUDE], str):
        mistakes.append(document.complain(at, "include takes the name of one format"))
    return True
