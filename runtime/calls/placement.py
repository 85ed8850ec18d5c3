"""Where arrays stand on several devices, which share either the tasks of a batch or the weights.

before   packed weights, the features of a batch
after    the same on the devices: whole on each, or a part on each
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import jax
import numpy as np
from innerloop.artifact.words import Share
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ..packing.divided import AXIS, divided, parts_of
from ..packing.packed import Parameters
from ..surroundings import devices


class Placement:
    """The devices of this process, and what they `share`."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._mesh = Mesh(np.array(devices()), (AXIS,))

    @property
    def first(self) -> Any:
        """The first device."""
        return self._mesh.devices.flat[0]

    @property
    def on_cpu(self) -> bool:
        """Whether they are CPUs."""
        return bool(self.first.platform == "cpu")

    @property
    def shards(self) -> int:
        """How many parts a batch has."""
        return self._mesh.size if self._share == "tasks" else 1

    @cached_property
    def whole(self) -> NamedSharding:
        """The same on each device."""
        return self._at(PartitionSpec())  # type: ignore[no-untyped-call]

    @cached_property
    def tasks(self) -> NamedSharding:
        """The first axis, of tasks, in parts, where they share it."""
        return self._at(PartitionSpec(AXIS)) if self.shards > 1 else self.whole  # type: ignore[no-untyped-call]

    def put(self, packed: Parameters) -> Parameters:
        """Packed weights, on the devices."""
        if self._share == "tasks":
            whole: Parameters = jax.device_put(packed, self.whole)
            return whole
        made = divided(packed, self._mesh.size)
        parts: Parameters = jax.device_put(made, jax.tree.map(self._at, parts_of(made), is_leaf=_is_part))
        return parts

    def _at(self, part: PartitionSpec) -> NamedSharding:
        return NamedSharding(self._mesh, part)


def _is_part(node: Any) -> bool:
    return isinstance(node, PartitionSpec)
