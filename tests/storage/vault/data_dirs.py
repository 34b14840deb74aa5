"""A data folder whose objects are not plainly on a disk: as the calls of vault/ see it."""

from collections.abc import Callable
from pathlib import Path

from storage.objects.base import SharedObjects
from storage.objects.filesystem import LocalObjects
from storage.vault.data_dir import DataDir

Wrap = Callable[[SharedObjects], LocalObjects]


class WrappedDataDir(DataDir):
    """Gives out objects that are wrapped each time they are asked for."""

    wrap: Wrap

    @staticmethod
    def of(root: Path, wrap: Wrap) -> "WrappedDataDir":
        """The folder with these objects."""
        made = WrappedDataDir(root)
        object.__setattr__(made, "wrap", wrap)  # a field of the frozen folder would be an argument
        return made

    def objects(self) -> LocalObjects:
        """Wrapped."""
        return self.wrap(super().objects())
