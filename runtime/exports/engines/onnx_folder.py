"""ONNX: model.onnx and what runs it, without torch or JAX (onnx_graph.py says what is in it)."""

from __future__ import annotations

from functools import partial

import numpy as np
from innerloop.artifact.memory import spend
from innerloop.artifact.weights import Weights

from ..fields import given, module
from ..folder import Folder, Sample
from ..tensors import Tensor
from .onnx_graph import FOUND, GIVEN, nodes_of
from .onnx_nodes import package, write_onnx

COPIES = 3
"""Of the numbers in memory: as an array, in the graph, and as it is written."""

README = """\
# {name}

A program compiled into a transformer by innerloop; the program is in `program.icl`. `model.onnx` holds it in standard
operators (opset 20), in {dtype}: `{given} [batch, tokens, {features}]` to `{found} [batch, tokens, {size}]`, both
batch and tokens free, up to {positions} tokens. Loops are unrolled, and their passes share their numbers. Norms and
activations are written out as innerloop computes them; computed so, the outputs are {error:.1e} off the float64 oracle
at most on the tasks below.{note}

A sequence is a rest token, then `{pattern}`. `fields.py` makes features from arrays: `features({fields})`.
`tasks.safetensors` holds a few tasks, field by field, and the float64 oracle's output.

```python
import numpy as np
import onnxruntime
from safetensors.numpy import load_file

from fields import features, rows

session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
tasks = load_file("tasks.safetensors")
arrays = {{name.removeprefix("field."): array for name, array in tasks.items() if name != "output"}}
x = features(**arrays)
(output,) = session.run(["{found}"], {{"{given}": x}})
output = output[:, rows(x)]
print("largest difference from the oracle:", np.abs(output - tasks["output"]).max())
```
"""


def tensors(weights: Weights) -> list[Tensor]:
    """The numbers of the graph; what loops repeat is held once. Raises InnerloopError where the `onnx` package is
    missing."""
    package()
    return list(nodes_of(weights).numbers.values())


def folder(weights: Weights, sample: Sample) -> Folder:
    """What stands in the folder. Raises InnerloopError where there is no memory for the file."""
    nodes = nodes_of(weights)
    bytes_of = np.dtype(weights.config.dtype).itemsize * sum(tensor.size for tensor in nodes.numbers.values())
    spend(COPIES * bytes_of, "the numbers of model.onnx, as they are written,", "compile for smaller sizes")
    sizes = weights.embedding.shape[0], weights.readout.shape[1]
    pattern = str(weights.signature.pattern)
    said = {"program": weights.signature.text, "tokens": pattern}
    text = README.format(
        name=weights.signature.name,
        dtype=weights.config.dtype,
        given=GIVEN,
        found=FOUND,
        features=sizes[0],
        size=sizes[1],
        positions=weights.config.n_positions,
        error=sample.error,
        note=sample.note,
        pattern=pattern,
        fields=given(weights),
    )
    write = partial(write_onnx, nodes=nodes, given=(GIVEN, sizes[0]), found=(FOUND, sizes[1]), said=said)
    texts = {"README.md": text, "fields.py": module(weights, torch=False)}
    return Folder(texts, {"tasks.safetensors": sample.tensors(weights)}, {"model.onnx": write})
