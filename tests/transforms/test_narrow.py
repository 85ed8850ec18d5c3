"""Divisors of very many sizes: two steps that mean what one did, where they stand, and what small divisors keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import TokenData, output_rows, read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler.certify.plan import Plan
from innerloop.compiler.compile import compile_program, plan_for
from innerloop.compiler.emit.backend import backend_of
from innerloop.compiler.interpreter.calibrate import calibrate
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Divide, Function, Graph
from innerloop.compiler.ir.verify import verify
from innerloop.compiler.pipeline import optimise
from innerloop.compiler.schedule.allocate import SWALLOWED, allocate
from innerloop.compiler.schedule.instructions import Quotient
from innerloop.compiler.transforms.divisor_range_reduction import narrow, widest
from innerloop.compiler.transforms.rewriter import simplify

from tests.reference import case_of, source

TEXT = "program p()\n\ntokens (t)*\n    a : scalar on t\n    s : scalar on t\n\noutput a / {divisor}\n"


def divided(divisor: str, low: float, high: float) -> tuple[Graph, TokenData, dict[str, Floats]]:
    """The graph of a / divisor, with s log-uniform over [low, high]; `divisor` is some form of s."""
    rng = np.random.default_rng(0)
    s = np.exp(rng.uniform(np.log(low), np.log(high), (32, 8)))
    s[0, :2] = low, high
    fields = {"a": s * rng.standard_normal((32, 8)), "s": s}
    graph = simplify(graph_of(TEXT.format(divisor=divisor), {}))
    return graph, read_data(graph.signature, fields), fields


@pytest.mark.parametrize("divisor", ["s", "-s", "max(s, 1e-5)"])
@pytest.mark.parametrize(("low", "high"), [(1e-6, 1e6), (3e-9, 2.0), (5.0, 1e13)])
def test_two_steps_mean_what_one_did_and_reach_over_the_root(divisor: str, low: float, high: float) -> None:
    graph, data, _ = divided(divisor, low, high)
    ranges = calibrate(graph, [data])
    wide = widest(graph, ranges)
    assert wide is not None
    written = verify(narrow(graph, ranges))
    np.testing.assert_allclose(evaluate(written, data), evaluate(graph, data), rtol=1e-13)
    steps = [written[v] for v in written.values() if isinstance(written[v].op, Divide)]
    assert [step.op for step in steps] == [Divide(), Divide(again=True)]
    functions = {written[v].op for v in written.values() if isinstance(written[v].op, Function)}
    assert functions == {graph[v].op for v in graph.values() if isinstance(graph[v].op, Function)}
    ends = np.array([[end[0] for end in calibrate(written, [data]).tight(step.operands[1])] for step in steps])
    # the two share the norm's constants: from the smallest of both to the largest, margins of a tenth at each end
    assert ends.min() > 0.0
    assert ends.max() / ends.min() <= 1.1**2 * np.sqrt(wide)


def test_what_reaches_over_no_more_than_a_step_of_the_widest_is_one_division() -> None:
    text = TEXT.replace("    s : scalar on t", "    s : scalar on t\n    z : scalar on t").replace(
        "a / {divisor}", "a / s + a / z"
    )
    rng = np.random.default_rng(0)
    sizes = {"s": (1e-6, 1e6), "z": (1e-2, 1e3)}
    fields = {name: np.exp(rng.uniform(np.log(low), np.log(high), (64, 8))) for name, (low, high) in sizes.items()}
    fields["a"] = rng.standard_normal((64, 8))
    graph = simplify(graph_of(text, {}))
    data = read_data(graph.signature, fields)
    written = narrow(graph, calibrate(graph, [data]))
    assert sum(isinstance(written[v].op, Divide) for v in written.values()) == 3
    np.testing.assert_allclose(evaluate(written, data), evaluate(graph, data), rtol=1e-12, atol=1e-12)


def quotients(plan: Plan) -> list[tuple[int, Quotient]]:
    """The divisions, with the sublayer that each stands in."""
    sublayers = enumerate(plan.schedule.walk())
    return [(k, p.instruction.op) for k, s in sublayers for p in s.placed if isinstance(p.instruction.op, Quotient)]


@pytest.mark.parametrize("target", ["gpt2", "gelu", "llama"])
def test_the_second_step_stands_two_sublayers_after_the_first(target: TargetName) -> None:
    graph, _, fields = divided("max(s, 1e-5)", 1e-6, 1e7)
    plan = plan_for(graph, target, "float32", fields)
    (one, first), (two, second) = quotients(plan)
    assert (two - one, first.again, second.again) == (2, False, True)


def conjugate_gradient(target: TargetName, dtype: Dtype, **parameters: object) -> tuple[int, Floats]:
    """Layers, and the squared error of each of 512 tasks."""
    case = case_of("conjugate_gradient")
    case = replace(case, parameters={**case.parameters, **parameters})
    text, sample = source(case.program), case.data(seed=1, tasks=256)
    weights = compile_program(text, target=target, dtype=dtype, calibration=sample, **case.parameters)
    data = read_data(weights.signature, case.data(seed=107, tasks=512))
    truth = evaluate(graph_of(text, case.parameters), data)
    found = forward(weights, data)[:, output_rows(data.sequence, weights.output.kinds)].reshape(truth.shape)
    return weights.report.layers, np.asarray(np.mean((found - truth) ** 2, axis=1))


def test_conjugate_gradients_stay_shallow_and_exact() -> None:
    layers, errors = conjugate_gradient("gpt2", "float32", floor=1e-9)  # of float32 nothing is left of 1e-12
    assert layers <= 27
    assert errors.mean() < 1e-7
    # at two steps a dot product of 6e-8 stood where something of size 1 was taken away, and every digit was lost
    _, errors = conjugate_gradient("llama", "float32", steps=2)
    assert errors.max() < 1e-8


@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_a_small_divisor_takes_no_slot_from_which_something_large_goes(target: TargetName) -> None:
    case = case_of("conjugate_gradient")
    graph, sample = graph_of(source(case.program), case.parameters), case.data(seed=1, tasks=256)
    plan = plan_for(optimise(graph, target), target, "float32", sample)
    made = allocate(plan.schedule)
    atoms, lives = plan.schedule.instructions.atoms, made.lifetimes
    checked = 0
    for sublayer in plan.schedule.walk():
        for task in (p.instruction for p in sublayer.placed if isinstance(p.instruction.op, Quotient)):
            assert isinstance(task.op, Quotient)
            ratio = max(task.op.high / task.op.low, task.op.low / task.op.high)
            for atom in task.reads[1].atoms:
                if atom not in made.slots or lives[atom].birth < 0 or not ratio > SWALLOWED:
                    continue
                small = float(atoms[atom].magnitude.min()) / ratio
                for other, slots in made.slots.items():
                    if np.intersect1d(slots, made.slots[atom]).size and lives[other].clear == lives[atom].birth:
                        assert atoms[other].magnitude.min() <= SWALLOWED * small
                checked += 1
    assert checked


def test_the_norm_is_exact_beside_the_largest_divisor() -> None:
    """With ±C and ±N in the stream LayerNorm divides by C √(1 + N²/C²), which must be C."""
    for dtype in ("float32", "float64"):
        graph, _, fields = divided("s", 1e-2, 1e2)
        plan = plan_for(graph, "gpt2", dtype, fields)
        frame = backend_of(plan.schedule, plan.allocation, plan.graph.signature, 1025, dtype)
        stream = next(s for n in range(1, 20) if (s := frame.stream(16 * n)) is not None)
        assert frame.divisor is not None
        share = np.dtype(dtype).type((stream.constants.divide * frame.divisor[1] / stream.constants.scale) ** 2)
        assert np.dtype(dtype).type(1.0) + share == 1.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_divisors_are_given_room_on_both_sides(sign: float) -> None:
    """What is divided by may be smaller than any divisor of the sample, and larger."""
    text = f"program p()\n\ntokens (x)*\n    x : scalar\n\noutput x / ({sign} * (0.5 + x ^ 2))\n"
    x = np.random.default_rng(0).standard_normal((16, 8))
    plan = plan_for(optimise(graph_of(text, {}), "gpt2", "depth"), "gpt2", "float32", {"x": x})
    (op,) = (p.instruction.op for s in plan.schedule.walk() for p in s.placed if isinstance(p.instruction.op, Quotient))
    least, most = sorted((abs(op.low), abs(op.high)))
    divisors = 0.5 + x**2
    assert least < 0.95 * divisors.min()
    assert most > 1.05 * divisors.max()
