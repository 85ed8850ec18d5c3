"""The weights of a compiled transformer, in memory and in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

from .contents import Contents
from .folders.storage import load, save


@dataclass(frozen=True, repr=False)
class Weights(Contents):
    """A compiled transformer: what it holds (`Contents`), to be saved and loaded."""

    def save(self, folder: str | PathLike[str]) -> None:
        """Writes config.json, model.safetensors and program.icl to a new folder, whole or not at all. Raises DataError
        if the folder exists or cannot be written, or the weights hold NaN or infinity."""
        save(self, folder)

    @staticmethod
    def of(contents: Contents) -> Weights:
        """The same contents, as what can be saved."""
        return Weights(**vars(contents))

    @staticmethod
    def load(folder: str | PathLike[str]) -> Weights:
        """Reads what `save` wrote. Raises DataError, with the reason, for a folder that is not whole and sound."""
        return Weights.of(load(folder))
