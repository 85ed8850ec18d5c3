"""Files of ONNX, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from innerloop.artifact.arrays import Floats
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.tokens import read_data
from innerloop.artifact.weights import Weights
from innerloop.runtime.exports.engines.onnx_graph import FOUND, GIVEN


def run(path: Path, weights: Weights, **fields: Any) -> Floats:
    """The output [batch, tokens, size] behind the rest token."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    data = read_data(weights.signature, fields)
    given = FeatureLayout.of(weights.signature).tokens(data, slice(None), np.dtype(weights.config.dtype))
    (found,) = session.run([FOUND], {GIVEN: given})
    assert found.dtype == given.dtype
    return np.asarray(found[:, 1:], np.float64)
