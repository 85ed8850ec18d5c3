"""Divisions at some kinds of token, while others hold what crosses the dividing sublayer: random programs, of values
and divisors of many sizes, against the oracle."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from innerloop.compiler.build import graph_of
from innerloop.compiler.calibrate import draw
from innerloop.compiler.errors import CompileError
from numpy.typing import NDArray

from .against_oracle import both
from .reference.programs import HEADS

PROGRAMS = 24


def divided_program(random: Random) -> str:
    """Source text: `r` is a quotient at some kinds, what it was at the others, and all of it the output."""
    head = random.choice(HEADS)
    kinds = random.sample(head.kinds, random.randint(1, len(head.kinds) - 1))
    floor = random.choice(["0.5", "3", "30"])
    top = random.choice(["s * e", "p", "s * p", "e"])
    bottom = random.choice(["2 * s", "s + 1", f"{floor} + dot(p, p)"])
    held = random.choice(["p", "2 * p", "p + s * e"])
    lines = ["p : vector[2] = 1", "e : vector[2] = [1, -2]", f"at {random.choice(head.homes['x'])}", "    p = x"]
    lines += [f"s : scalar = {floor} + mean[j in {random.choice(head.homes['y'])}](y[j] ^ 2)"]
    match random.choice(["once", "twice", "repeat", "scan"]):
        case "scan":  # its start is held by the rest token
            start = random.choice([0, 1, 5])
            lines += [f"r : vector[2] = {start}", f"scan {kinds[0]} up to 8", f"    r = 0.5 * r + ({top}) / ({bottom})"]
        case "repeat":
            lines += ["r : vector[2] = p", "repeat 3"]
            for kind in kinds:
                lines += [f"    at {kind}", f"        r = ({top} + 0.5 * r) / ({bottom})"]
        case times:
            lines += [f"r : vector[2] = {held}"]
            for kind in kinds:
                lines += [f"at {kind}", f"    r = ({top}) / ({bottom})"]
            if times == "twice":
                lines += [f"at {random.choice(head.kinds)}", f"    r = (r + e) / ({floor} + dot(p, p))"]
    lines.append(random.choice(["output r", "output r + p"]))
    return "\n".join(["program divided()", "", head.text.replace("[d]", "[2]"), "", *lines, ""])


def largest(text: str, fields: dict[str, NDArray[Any]], target: str, dtype: str) -> float:
    """The largest error over the largest output."""
    found, truth = both(text, fields, target, dtype)
    return float(np.abs(found - truth).max() / np.abs(truth).max())


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-4), ("float64", 1e-9)])
@pytest.mark.parametrize("target", ["gpt2", "gelu"])
def test_random_divisions_agree_with_the_oracle(target: str, dtype: str, tolerance: float) -> None:
    refused = 0
    for seed in range(PROGRAMS):
        random = Random(seed)
        text, scale, groups = divided_program(random), 10.0 ** random.randint(-1, 2), random.randint(1, 6)
        signature = graph_of(text, {}).signature
        assert signature is not None
        fields = {name: scale * array for name, array in draw(signature, groups, 16, seed).items()}
        try:
            error = largest(text, fields, target, dtype)
        except CompileError as refusal:
            if "cannot divide in float32 by numbers from" not in refusal.diagnostics[0].message:
                raise  # nothing else may go wrong with what divides
            refused += 1
            continue
        assert error < tolerance, text
    assert refused <= PROGRAMS // 10


KINDS = {
    "a label": "at x\n    r = s / (2 * s)\nat y\n    r = y\n",
    "an input": "at y\n    r = s / (2 * s)\nat x\n    r = sum(x)\n",
    "what a scan starts from": "scan y up to 8\n    r = 0.5 * r + s / (2 * s)\n",
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("target", ["gpt2", "gelu"])
def test_what_tokens_hold_that_do_not_divide_stays(target: str, name: str) -> None:
    """Divisors of up to 1e5: at tokens of other kinds the stream is divided by what happens to be there."""
    text = (
        "program p()\n\ntokens (x y)* x\n    x : vector[2]\n    y : scalar\n\n"
        f"r : scalar = 7\ns = 30 + mean[j in y](y[j] ^ 2)\n{KINDS[name]}output r\n"
    )
    rng = np.random.default_rng(0)
    fields = {"x": 100.0 * rng.standard_normal((64, 8, 2)), "y": 100.0 * rng.standard_normal((64, 7))}
    assert largest(text, fields, target, "float32") < 2e-6
