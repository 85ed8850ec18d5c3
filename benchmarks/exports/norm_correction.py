"""(2 − c) as weights: would it pay to take the norm's own error away? Gradient descent on gpt2 with small constants.

    python -m benchmarks.exports.norm_correction [--tasks 50] [--d 3 8]

A norm whose constants are small divides by too much, and what is read is smaller by ε = r²/2c² (certify/slots.py). A
constant's own slot, read through the same norm, is c = 1 − ε, so v + ε v, made by neurons a sublayer before v is read,
takes it away to first order. Here it is written into the program: `e` is a field that is always 0, `v + k * e * v` is
compiled as any product, and then neurons that read e's slot are made to read (1 − c) / k in its place, with a bias for
the 1. It stands where the program reads: the input, the example and its products where they are gathered, what was
gathered, and the query, which also bears the two reads that are left. w, which every step reads and writes, is read as
it is: the matrix that it is multiplied by is larger by both.

before   tasks of linear regression, x and w from N(0, I), 40 examples; 10 steps at rate 0.05
after    a table: SPD/d against the float64 oracle, as stock models round, of the plain program, of the longer one as
         compiled, and of that one corrected; its largest slot over the median one, and ε at most on its own tasks
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import CompileError
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.parts import Body, Mlp, Repeated, Sublayer
from innerloop.artifact.reference.arithmetic import STOCK
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import output_rows, read_data
from innerloop.compiler import Weights, compile_program, interpret
from innerloop.programs import load

EXAMPLES, STEPS, RATE = 40, 10, 0.05
PLAIN = load("gradient_descent")
LONGER = """
program corrected(d, k, steps, rate)

tokens (x y)* x
    x : vector[d]
    y : scalar
    e : scalar on x, y

at x
    v = x
    repeat 1
        v = v + k * e * v
at y
    u = move v from previous
    t = y
    repeat 1
        u = u + k * e * u
        t = t + k * e * t
    p = outer(u, u)
    q = t * u
    repeat 1
        p = p + k * e * p
        q = q + k * e * q

g = mean[j in y](p[j])
h = mean[j in y](q[j])
G = g + 2 * k * e * g
H = h + k * e * h
w = rate * h
repeat steps - 1
    w = w - rate * (G @ w - H)

at x
    z = x + 3 * k * e * x
    output dot(w, z) + e
"""


def tasks(count: int, d: int, seed: int) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((count, EXAMPLES + 1, d)), rng.standard_normal((count, d, 1))
    return {"x": x, "y": (x[:, :-1] @ w)[..., 0]}


def compiled(text: str, spread: float, data: Mapping[str, Any], **parameters: float) -> Weights:
    return compile_program(
        text, target="gpt2", spread=spread, calibration=data, accept_error=True, steps=STEPS, rate=RATE, **parameters
    )


def corrected(weights: Weights, k: float) -> Weights:
    """Neurons that read e's slot read (1 − c) / k there."""
    layout, embedding = FeatureLayout.of(weights.signature), weights.embedding.csr.toarray()
    slot = int(embedding[layout.fields["e"].start].argmax())
    start = weights.positions[0] + embedding[0]
    constants = np.flatnonzero(np.abs(start) > 0.4 * np.abs(start).max())
    zero = int(np.flatnonzero(embedding[layout.fields["e"].start] < 0.0)[0]) - 1  # the balance stands behind it

    def changed(part: Sublayer | Repeated) -> Sublayer | Repeated:
        if isinstance(part, Repeated):
            return replace(part, body=body(part.body))
        if not isinstance(part, Mlp):
            return part
        up = part.up.csr.toarray()
        read = up[slot] / k
        up[zero] += up[slot]
        up[slot] = 0.0
        up[constants] -= np.multiply.outer(1.0 / start[constants], read) / constants.size
        return replace(part, up=Matrix(sp.csr_array(up)), up_bias=part.up_bias + read)

    def body(parts: Body) -> Body:
        return tuple(changed(part) for part in parts)

    return replace(weights, body=body(weights.body))


def spd(weights: Weights, data: Mapping[str, Any], truth: Floats) -> float:
    read = read_data(weights.signature, data)
    rows = output_rows(read.sequence, weights.output.kinds)
    found = np.asarray(forward(weights, read, arithmetic=STOCK, whole=True)[:, rows, 0], np.float64)
    return float(np.mean((found - truth)[:, 1:] ** 2) / np.shape(data["x"])[-1])


def shrunk(weights: Weights) -> float:
    made = weights.report.certificate
    assert made is not None
    return made.shrunk


def lines(d: int, spread: float, count: int) -> None:
    data, sample = tasks(count, d, 2026), tasks(300, d, 1)
    truth = interpret(PLAIN, d=d, steps=STEPS, rate=RATE, **data)
    still = {**data, "e": np.zeros((count, 2 * EXAMPLES + 1))}
    moved = {**sample, "e": np.random.default_rng(5).uniform(-1.0, 1.0, (300, 2 * EXAMPLES + 1))}

    def told(what: str, weights: Weights, given: Mapping[str, Any]) -> None:
        report = weights.report
        numbers = [f"{report.layers:6}  {report.width:5}  {report.neurons:7,}"]
        numbers += [f"{number:12.1e}" for number in (report.spread, shrunk(weights), spd(weights, given, truth))]
        print(f"{d:2}  {spread:6.0f}  {what:24}", *numbers, flush=True)

    plain = compiled(PLAIN, spread, sample, d=d)
    told("plain", plain, data)
    try:
        first = compiled(LONGER, spread, moved, d=d, k=2.0 * shrunk(plain))
        k = 1.2 * shrunk(first)  # e is then within ±1, as it was calibrated
        longer = compiled(LONGER, spread, moved, d=d, k=k)
    except CompileError as refused:
        print(f"{d:2}  {spread:6.0f}  refused: {str(refused).splitlines()[0]}", flush=True)
        return
    told("longer", longer, still)
    told("longer, corrected", corrected(longer, k), still)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--d", type=int, nargs="+", default=[3, 8])
    options = parser.parse_args()
    print(
        " d  spread  program                   layers  width  neurons largest slot            ε        SPD/d",
        flush=True,
    )
    for d in options.d:
        for spread in (1e4, 2e3):
            lines(d, spread, options.tasks)


if __name__ == "__main__":
    main()
