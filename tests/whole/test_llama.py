"""The constructions of target llama: exact norms and copies, products, divisions, sums; its programs; its figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.parts import Mlp, Norm
from innerloop.artifact.reference.arithmetic import OWN, normalise
from innerloop.artifact.signature import Pattern
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program, interpret
from innerloop.compiler.architectures.learned_positions import End, wanted
from innerloop.compiler.architectures.relation import Relation
from innerloop.compiler.architectures.rotary_frequencies import ROTARY_GAP, phases
from innerloop.compiler.architectures.rotary_positions import rotary_copy_rule
from innerloop.compiler.emit.residual_stream import four_squares
from innerloop.compiler.lengths import TOKENS
from innerloop.programs import load

from tests.reference import CASES, REGRESSIONS, Case, measured
from tests.reference.measured import numpy_run
from tests.support.random_weights import config

from .test_compile import LOOSE, largest
from .test_precision import spd

SMALL = {
    "iterative_newton": {"steps": 4},
    "sherman_morrison": {"examples": 6},
    "stochastic_gradient_descent": {"examples": 6},
}


def compiled(name: str, **parameters: float | str) -> Weights:
    return compile_program(load(name), target="llama", **parameters)  # type: ignore[arg-type]


# Programs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", REGRESSIONS)
def test_every_shipped_program_compiles_to_a_llama(name: str, dtype: Dtype) -> None:
    if (name, dtype) == ("iterative_newton", "float32"):
        pytest.xfail("its certificate's tasks are correlated by 0.999 now: 3.7e-5 of the output")
    weights = compiled(name, d=3, dtype=dtype, **SMALL.get(name, {}))
    of, report = weights.config, weights.report
    assert (of.norm, of.activation, of.positions, of.n_head * of.d_head) == ("rmsnorm", "silu", "rotary", of.d_model)
    assert not weights.positions.any()
    for part in weights.sublayers():
        biases = [value for name, value in vars(part).items() if name.endswith("_bias")]
        assert not any(bias.any() for bias in biases)
        assert not isinstance(part, Mlp) or part.gate is not None
    assert report.measured_error < {"float32": 2e-5, "float64": 1e-13}[dtype] * report.output_rms
    assert report.measured_error <= report.predicted_error


@pytest.mark.parametrize(("name", "layers"), [("gradient_descent", 11), ("sherman_morrison", 81)])
def test_a_step_is_a_layer_and_an_update_of_sherman_morrison_two(name: str, layers: int) -> None:
    parameters = {"steps": 10} if name == "gradient_descent" else {}
    assert compiled(name, d=2, **parameters).report.layers == layers


FIGURES = [
    ("gradient_descent", {"steps": 10, "rate": 0.05}, 1e-13),
    ("stochastic_gradient_descent", {"rate": 0.01}, 1e-13),
    ("sherman_morrison", {"ridge": 1.0}, 1e-12),
    ("sherman_morrison", {"ridge": 0.1}, 1e-12),
    ("sherman_morrison", {"ridge": 0.01}, 1e-11),
    ("sherman_morrison", {"ridge": 0.001}, 1e-10),
]


@pytest.mark.parametrize(("name", "parameters", "goal"), [FIGURES[0], FIGURES[1], FIGURES[3]])
def test_float32(name: str, parameters: dict[str, float], goal: float) -> None:
    assert spd(name, parameters, "float32", 20, 11, "llama", numpy_run) <= goal


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters", "goal"), FIGURES)
def test_the_figure(name: str, parameters: dict[str, float], goal: float) -> None:
    assert spd(name, parameters, "float32", 200, 2026, "llama", numpy_run) <= goal


HEAVY = {"principal_component", "newton_logistic", "mlp_gradient_descent", "logistic_regression", "support_vector"}
HELD = [
    pytest.param(case, id=case.program, marks=[pytest.mark.slow] if case.program in HEAVY else []) for case in CASES
]


@pytest.mark.parametrize("case", HELD)
def test_what_gpt2_holds_a_llama_holds(case: Case) -> None:
    weights, fields = measured.compiled(case, "llama"), case.data(seed=0, tasks=8)
    assert largest(numpy_run(weights, fields), case.truth(fields)) < LOOSE.get(case.program, 5e-5)


# One line ----------------------------------------------------------------------------------------

LINE = """program line()

tokens (t)*
    a : scalar on t in [{}, {}]
    b : scalar on t in [{}, {}]

output {}
"""


def off(expression: str, a: tuple[float, float], b: tuple[float, float]) -> tuple[Floats, Floats]:
    """The errors of a program of one line and the truth, a uniform and b log-uniform (uniform where it is negative)."""
    text = LINE.format(*a, *b, expression)
    rng = np.random.default_rng(3)
    fields = {"a": rng.uniform(*a, (100, 40)), "b": rng.uniform(*b, (100, 40))}
    if b[0] > 0.0:
        fields["b"] = np.exp(rng.uniform(np.log(b[0]), np.log(b[1]), (100, 40)))
    found, truth = numpy_run(compile_program(text, target="llama"), fields), interpret(text, **fields)
    return np.abs(found - truth), truth


def test_a_product_is_exact_but_for_rounding() -> None:
    error, _ = off("a * b", (-10.0, 10.0), (-10.0, 10.0))
    assert error.max() <= 2e-7 * 10.0**2


@pytest.mark.parametrize("divisor", [(0.3, 200.0), (1e-3, 30.0), (-200.0, -0.3)])
def test_a_division_is_exact_but_for_rounding_at_every_size(divisor: tuple[float, float]) -> None:
    error, truth = off("a / b", (-10.0, 10.0), divisor)
    assert (error / np.abs(truth)).max() <= 1e-6


@pytest.mark.parametrize(
    ("expression", "tolerance"),
    [
        ("abs(a) + 0 * b", 1e-6), ("relu(a) + 0 * b", 1e-6), ("clip(a, -1, 2) + 0 * b", 1e-6), ("max(a, b)", 2e-6),
        ("sigmoid(a) + 0 * b", 3e-6), ("tanh(a) + 0 * b", 6e-6), ("log(b) + 0 * a", 3e-5), ("sqrt(b) + 0 * a", 2e-4),
    ],
)  # fmt: skip
def test_functions(expression: str, tolerance: float) -> None:
    assert off(expression, (-10.0, 10.0), (0.01, 20.0))[0].max() <= tolerance


# Constructions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_norm_is_the_identity_bit_for_bit_at_every_width(dtype: Dtype) -> None:
    rng = np.random.default_rng(0)
    scale = 2.0**36
    settings = replace(config(1, 16, 1, 1), norm="rmsnorm", dtype=dtype)
    for width in range(16, 1025, 8):
        weights = four_squares(width)
        x = rng.standard_normal((width, 50)).astype(dtype)
        x[: len(weights)] = (np.array(weights) * scale)[:, None]
        x = rng.permutation(x)
        norm = Norm(np.full(width, scale), np.zeros(width))
        assert np.array_equal(normalise(x, norm, settings, OWN), x), width


@pytest.mark.parametrize("what", ["previous", "first x"])
def test_copies_are_exact_over_a_thousand_tokens(what: str) -> None:
    text = f"""program copies()

tokens (x y)* x
    x : vector[3]
    y : scalar

at y
    u = move x from {what}
at y
    output u
"""
    rng = np.random.default_rng(1)
    groups = (TOKENS - 1) // 2
    x = rng.standard_normal((2, groups + 1, 3)).astype(np.float32).astype(np.float64)
    x *= np.exp(rng.uniform(-8.0, 8.0, x.shape)).astype(np.float32)
    x = x.astype(np.float32).astype(np.float64)
    fields = {"x": x, "y": rng.standard_normal((2, groups))}
    found = numpy_run(compile_program(text, target="llama", calibration=fields), fields)
    assert np.array_equal(found, x[:, :groups] if what == "previous" else np.broadcast_to(x[:, :1], found.shape))


def test_sums_and_means_over_a_thousand_tokens() -> None:
    text = """program totals()

tokens (x)*
    x : scalar on x

output sum[j in x](x[j]) - mean[j in x](x[j])
"""
    rng = np.random.default_rng(2)
    x = rng.uniform(0.5, 1.5, (4, TOKENS))
    found = numpy_run(compile_program(text, target="llama", calibration={"x": x}), {"x": x})
    count = np.arange(1, TOKENS + 1)
    truth = np.cumsum(x, axis=1) * (1.0 - 1.0 / count)
    assert (np.abs(found - truth) / count).max() <= 2e-6


@pytest.mark.parametrize("d_head", [16, 64, 256])
@pytest.mark.parametrize("positions", [3, 84, TOKENS + 1])
def test_phases_tell_every_distance_apart(d_head: int, positions: int) -> None:
    found = phases(d_head, positions)
    turning = found.frequency[: found.weights.size]
    distance = np.arange(1, positions)[:, None]
    logits = np.cos(distance * turning) @ found.weights - found.total
    assert logits.max() <= -ROTARY_GAP * (1.0 - 1e-6)
    steps = np.diff(found.amplitude * np.sin(np.arange(positions) * found.frequency[found.slow]))
    assert steps.min() >= ROTARY_GAP * (1.0 - 1e-6)
    assert found.still.size >= 4


PATTERNS = (
    Pattern((), ("x", "y"), ("x",)), Pattern(("h",), ("x", "y"), ()), Pattern(("y", "z"), ("x", "y", "y"), ("x",)),
    Pattern(("h",), ("x",), ("q",), visible_context=True), Pattern((), ("x", "y", "z"), ("q",), cuts=(2,)),
)  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", ["own", "previous", "before", "latest", "own_first", "own_none"])
def test_a_distance_finds_what_the_relation_wants(pattern: Pattern, name: str) -> None:
    for kind in pattern.kinds:
        for at in pattern.kinds:
            relation = Relation(name, None if name in ("own", "previous") else kind)
            rule = rotary_copy_rule(pattern, relation, frozenset({at}), 40)
            if rule is None or isinstance(rule, End):
                continue
            roles, targets = wanted(pattern, relation, (7, 3)[: len(pattern.groups)])
            kinds = (None, *pattern.prefix, *pattern.group, *pattern.suffix)
            for place, (role, target) in enumerate(zip(roles.tolist(), targets.tolist(), strict=True), start=1):
                found = place + int(rule.offsets[role])
                if kinds[role] == at and target > 0:
                    assert found == target
                elif kinds[role] == at and 1 <= found <= place:
                    assert relation.kind is not None
                    assert kinds[int(roles[found - 1])] != kind
