"""The tensors of a Hugging Face folder, one at a time: [rows, columns] of float64, by their names.

Every .safetensors file of the folder is looked into, shards and others alike.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InnerloopError, near
from safetensors import SafetensorError, safe_open

REAL = {"F64", "F32", "F16", "BF16"}


class Tensors:
    """Raises InnerloopError for a folder without a sound file of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Path] = {}
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            others = sorted(p.name for p in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")))
            mend = f"{others[0]} is a pickle, which is not opened: save it by " if others else "save the model by "
            raise InnerloopError(f"{folder}: has no .safetensors file; {mend}`save_pretrained(…)` or `save_file(…)`")
        for path in files:
            try:
                with safe_open(path, "numpy") as file:
                    for name in list(file.keys()):
                        self._files.setdefault(name, path)
            except (SafetensorError, OSError) as error:
                raise InnerloopError(f"{path}: is no whole .safetensors file: {error}") from None

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def prefix(self, of: str) -> str:
        """What stands before `of` in the one name that ends so. Raises InnerloopError for none or several."""
        found = [name.removesuffix(of) for name in self._files if name.endswith(of)]
        if len(found) != 1:
            seen = ", ".join(sorted(found)) if found else f"there are {', '.join(list(self._files)[:6])} …"
            raise InnerloopError(f"{self.folder}: has {len(found) or 'no'} tensors …{of}: {seen}"
                                 f"{'; say in the adapter which prefix is meant' if found else ''}")  # fmt: skip
        return found[0]

    def get(self, name: str, shape: tuple[int | None, ...]) -> Floats:
        """In float64; a None of `shape` may be any size. Raises InnerloopError for none of that name or shape."""
        if name not in self._files:
            hint = near(name, list(self._files)) or f"there are {', '.join(list(self._files)[:6])} …"
            raise InnerloopError(f"{self.folder}: has no tensor `{name}`; {hint}")
        with safe_open(self._files[name], "numpy") as file:
            kind = file.get_slice(name).get_dtype()
            if kind not in REAL:
                raise InnerloopError(f"{self.folder}: `{name}` holds {kind}; wanted real numbers: {', '.join(REAL)}")
            array = np.asarray(file.get_tensor(name)).astype(np.float64)
        if array.ndim != len(shape) or any(w is not None and h != w for h, w in zip(array.shape, shape, strict=True)):
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise InnerloopError(f"{self.folder}: `{name}` is {list(array.shape)}; wanted [{wanted}]")
        if not np.isfinite(array).all():
            raise InnerloopError(f"{self.folder}: `{name}` holds what is not finite")
        return array
