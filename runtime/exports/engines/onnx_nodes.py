"""Nodes: an ONNX graph that is being written, and the file that it becomes.

    before   calls: nodes("MatMul", x, weight) → the name of what comes out
    after    model.onnx, of standard operators (opset 20)

The `onnx` package is needed for the file alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats, Indices
from innerloop.artifact.errors import InnerloopError

from ..tensors import Tensor

OPSET, IR = 20, 9
"""Of the operators, and of the file's own format that goes with them."""
INSIDE = 2**30
"""Bytes of numbers that stand in the file itself; of more, in a second one beside it (a file holds 2 GiB)."""


@dataclass(frozen=True)
class Node:
    """One operator: its inputs and its output by name."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]


@dataclass
class Nodes:
    """`numbers`: initializers in the precision of the weights, by name; `whole`: those that are whole numbers, such as
    shapes."""

    dtype: Dtype
    nodes: list[Node] = field(default_factory=list)
    numbers: dict[str, Tensor] = field(default_factory=dict)
    whole: dict[str, Indices] = field(default_factory=dict)

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node; the name of its output."""
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(Node(kind, inputs, output, attributes))
        return output

    def held(self, name: str, shape: tuple[int, ...], make: Callable[[], Floats]) -> str:
        """An initializer; one for each name."""
        self.numbers.setdefault(name, Tensor(name, shape, make))
        return name

    def number(self, value: float) -> str:
        return self.held(f"number_{value!r}", (), partial(np.asarray, value))

    def integers(self, *values: int) -> str:
        """A list of whole numbers."""
        name = f"integers_{'_'.join(map(str, values))}"
        self.whole[name] = np.array(values, np.int64)
        return name

    def integer(self, value: int) -> str:
        """One whole number, which is no list."""
        self.whole[f"integer_{value}"] = np.array(value, np.int64)
        return f"integer_{value}"


def package() -> Any:
    """The `onnx` package. Raises InnerloopError where it is missing."""
    try:
        import onnx
    except ModuleNotFoundError:
        raise InnerloopError("writing ONNX takes the onnx package: pip install 'innerloop[export]'") from None
    return onnx


def write_onnx(
    path: Path,
    nodes: Nodes,
    given: tuple[str, int],
    found: tuple[str, int],
    said: Mapping[str, str],
    inside: int = INSIDE,
) -> None:
    """Writes a new file, whose input and output [batch, tokens, size] are given by name and size; `said`: what it holds
    beside the graph, by name. Of more than `inside` bytes the numbers go to a file beside it, PATH.data."""
    onnx = package()
    helper = onnx.helper
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(nodes.dtype))
    arrays = {name: tensor.make().astype(nodes.dtype) for name, tensor in nodes.numbers.items()} | nodes.whole
    graph = helper.make_graph(
        [helper.make_node(n.kind, n.inputs, [n.output], n.output, **n.attributes) for n in nodes.nodes],
        path.stem,
        [helper.make_tensor_value_info(given[0], kind, ["batch", "tokens", given[1]])],
        [helper.make_tensor_value_info(found[0], kind, ["batch", "tokens", found[1]])],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="innerloop"
    )
    helper.set_model_props(model, dict(said))
    size = sum(array.nbytes for array in arrays.values())
    onnx.save_model(model, str(path), save_as_external_data=size > inside, location=f"{path.name}.data")
    onnx.checker.check_model(str(path))
