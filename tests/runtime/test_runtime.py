"""The forward passes against GPT-2's block and linear attention in NumPy float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.parts import Attention, Idle, Mlp
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import ActivationName, NormKind
from innerloop.runtime import Transformer
from innerloop.runtime.layers.attention import attend_linearly
from innerloop.runtime.packing.pack import pack
from innerloop.runtime.packing.packed import AttentionStep, IdleStep, LinearAttentionStep, Spread

from tests.reference.measured import numpy_run
from tests.support.by_the_book import by_the_book, tasks
from tests.support.random_weights import Random, config, linear_tree, llama_tree, normless_tree, tree


@pytest.mark.parametrize(("seed", "causal"), [(0, True), (1, False), (2, True)])
@pytest.mark.parametrize(("dtype", "error"), [("float32", 5e-6), ("float64", 1e-14)])
def test_random_trees_are_gpt2(seed: int, dtype: Dtype, error: float, causal: bool) -> None:
    weights = tree(seed, causal=causal, dtype=dtype)
    data = tasks(4, seed=seed)
    output = Transformer(weights)(**data)
    expected, _ = by_the_book(weights, **data)
    assert output.dtype == dtype
    assert output.shape == expected.shape == (4, 6)
    assert np.abs(output - expected).max() < error * max(1.0, np.abs(expected).max())


def both_passes_agree(weights: Weights, data: dict[str, Floats]) -> None:
    """The runtime's and the compiler's own with the formulas, to the rounding of the weights' precision."""
    expected, _ = by_the_book(weights, **data)
    bound = {"float32": 5e-6, "float64": 1e-14}[weights.config.dtype] * max(1.0, float(np.abs(expected).max()))
    for output in (Transformer(weights, guard="off")(**data), numpy_run(weights, data)):
        assert output.dtype == weights.config.dtype
        assert output.shape == expected.shape
        assert np.abs(output - expected).max() < bound


@pytest.mark.parametrize("norm", ["dividing", "none"])
@pytest.mark.parametrize(("dtype", "causal"), [("float32", True), ("float64", False)])
def test_sublayers_without_a_norm_are_gpt2s_without_it(norm: NormKind, dtype: Dtype, causal: bool) -> None:
    weights = normless_tree(1, norm, causal, dtype)
    norms = [item.norm is None for item in weights.sublayers() if isinstance(item, Attention | Mlp)]
    assert any(norms)
    assert all(norms) == (norm == "none")
    both_passes_agree(weights, tasks(4))


@pytest.mark.parametrize(("activation", "norm"), [("none", "none"), ("gelu_tanh", "dividing")])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("causal", "unread"), [(True, 1), (False, 0)])
def test_linear_attention_is_its_formula(
    causal: bool, unread: int, dtype: Dtype, activation: ActivationName, norm: NormKind
) -> None:
    both_passes_agree(linear_tree(1, causal, unread, dtype, activation, norm), tasks(3))


LLAMA: dict[str, Any] = {
    "target": "llama", "activation": "silu", "norm": "rmsnorm", "positions": "rotary", "n_kv_head": 2,
}  # fmt: skip
PARTS: list[dict[str, Any]] = [
    {"activation": "silu"},
    {"norm": "rmsnorm"},
    {"positions": "rotary"},
    {"n_kv_head": 1},
    LLAMA,
    {**LLAMA, "n_kv_head": None, "rope_theta": 1e15},
    {**LLAMA, "n_kv_head": 1, "causal": False, "rope_theta": 100.0},
]


TURNS: list[tuple[Dtype, dict[str, Any]]] = [
    ("float64" if k % 2 else "float32", parts) for k, parts in enumerate(PARTS)
]


@pytest.mark.parametrize(("dtype", "parts"), [*TURNS, ("float64", LLAMA)])
def test_llamas_sublayers_are_their_formulas_each_and_together(dtype: Dtype, parts: dict[str, Any]) -> None:
    seed = int(dtype == "float64")
    weights = llama_tree(seed, dtype, **parts)
    gated = {item.gate is not None for item in weights.sublayers() if isinstance(item, Mlp)}
    assert gated == {"activation" in parts}
    both_passes_agree(weights, tasks(3, examples=9, seed=seed))


def test_heads_of_linear_attention_share_keys_and_values_too() -> None:
    drawn = replace(config(1, heads=4), attention="linear", activation="none", norm="none", n_kv_head=2)
    draw = Random(5, drawn)
    both_passes_agree(draw.weights((draw.linear_attention(), Idle("mlp"))), tasks(3))


def turned_pairs(weights: Weights) -> Weights:
    """The first sublayer with queries on the first of each pair and keys on the second: turning makes them meet."""
    first = weights.body[0]
    assert isinstance(first, Attention)
    d, heads = weights.config.d_head, weights.config.n_head
    low, high = np.arange(d) < d // 2, np.arange(d) >= d // 2
    query, key = np.tile(low, heads), np.tile(high, heads)
    halves = replace(
        first,
        query=Matrix(first.query.csr.toarray() * query),
        query_bias=first.query_bias * query,
        key=Matrix(first.key.csr.toarray() * key),
        key_bias=first.key_bias * key,
    )
    return replace(weights, body=(halves, *weights.body[1:]))


def test_a_pair_that_only_turning_brings_together_is_kept() -> None:
    draw = Random(8, replace(config(1, heads=2, dtype="float64"), positions="rotary"))
    weights = turned_pairs(draw.weights((draw.attention(), draw.mlp())))
    step = pack(weights, np.dtype("float64")).steps[0]
    assert isinstance(step, AttentionStep)
    assert step.qk == weights.config.d_head
    both_passes_agree(weights, tasks(2))


def test_a_pair_that_one_side_leaves_out_is_dropped_at_each_head() -> None:
    draw = Random(8, replace(config(1, heads=2), positions="rotary", n_kv_head=1))
    full = draw.attention()
    query = full.query.csr.toarray()
    query[:, [0, 4, 1, 5, 8 + 2, 8 + 6]] = 0.0  # head 0 keeps pairs 2 and 3, head 1 all but 2
    bias = full.query_bias.copy()
    bias[[0, 4, 1, 5, 8 + 2, 8 + 6]] = 0.0
    weights = draw.weights((replace(full, query=Matrix(query), query_bias=bias), draw.mlp()))
    step = pack(weights, np.dtype("float32")).steps[0]
    assert isinstance(step, AttentionStep)
    assert step.qk == 6
    assert np.asarray(step.pairs).tolist() == [[2, 3, 0], [0, 1, 3]]
    both_passes_agree(weights, tasks(2))


def test_sequences_of_any_length_go_through_linear_attention() -> None:
    weights = linear_tree(1, unread=2)
    for examples in (0, 1, 20):
        both_passes_agree(weights, tasks(2, examples))


@pytest.mark.parametrize("unread", [0, 1, 2])
def test_the_last_tokens_are_read_by_nobody(unread: int) -> None:
    """Another last x changes what the others see, unless it is not read; another last y where two are not."""
    draw = Random(
        3, replace(config(1, causal=False), attention="linear", activation="none", norm="none", unread=unread)
    )
    model = Transformer(draw.weights((draw.linear_attention(), Idle("mlp"))))
    data = tasks(1)
    before = model(**data)
    for name, last in (("x", 1), ("y", 2)):
        changed = data[name].copy()
        changed[:, -1] += 1.0
        after = model(**{**data, name: changed})
        assert np.array_equal(after[:, :-1], before[:, :-1]) == (unread >= last)


def test_an_odd_width_is_gpt2_too() -> None:
    draw = Random(7, replace(config(1), d_model=15, n_head=3, d_head=5, dtype="float64"))
    weights = draw.weights((draw.attention(), draw.mlp()))
    data = tasks(2)
    assert np.abs(Transformer(weights)(**data) - by_the_book(weights, **data)[0]).max() < 1e-14


def test_loops_equal_unrolled() -> None:
    weights = tree(5)
    flat = replace(weights, body=tuple(item for _, item in weights.unrolled()))
    data = tasks(3)
    assert np.abs(Transformer(weights)(**data) - Transformer(flat)(**data)).max() < 1e-6


def test_an_idle_head_and_a_closed_mlp_cost_and_change_nothing() -> None:
    draw = Random(3, config(1))
    full = draw.attention()
    idle = replace(full, output=Matrix.zero(16, 16), output_bias=np.zeros(16))
    with_idle = draw.weights((idle, draw.mlp()))
    without = replace(with_idle, body=(Idle("attention"), with_idle.body[1]))
    data = tasks(2)
    assert np.array_equal(Transformer(with_idle)(**data), Transformer(without)(**data))


def test_a_mean_by_linear_attention_is_exact() -> None:
    """Σ 1 · 1 · v / ρ of equal v is v, for as many tokens as there are, the tokens before the first counted one too."""
    tokens = 1024
    qkvc = np.ones((1, tokens, 4), np.float32)
    qkvc[..., 2] = 0.75
    qkvc[:, 0] = 0.0
    none: Any = np.zeros(1)
    step = LinearAttentionStep(None, none, none, Spread(None, none), 0, heads=1, qk=1, v=1, causal=True, unread=0)
    mixed = np.asarray(jax.jit(lambda x: attend_linearly(x, step))(qkvc))
    assert np.array_equal(mixed[0, :, 0], qkvc[0, :, 2])


def test_heads_of_linear_attention_that_cannot_write_are_left_out() -> None:
    draw = Random(3, replace(config(1, heads=4), attention="linear", norm="none"))
    full = draw.linear_attention()

    def only(heads: list[int], matrix: Matrix) -> Matrix:
        return Matrix(matrix.csr.toarray() * np.isin(np.arange(16) // 4, heads))

    output = Matrix(only([0, 1, 2], Matrix(full.output.csr.T)).csr.T)
    one = replace(full, key=only([0, 1], full.key), value=only([0, 2, 3], full.value), output=output)
    weights = draw.weights((one, draw.mlp()))
    step = pack(weights, np.dtype("float32")).steps[0]
    assert isinstance(step, LinearAttentionStep)
    assert step.heads == 1
    both_passes_agree(weights, tasks(2))
    idle = replace(weights, body=(replace(one, key=Matrix.zero(16, 16)), weights.body[1]))
    assert pack(idle, np.dtype("float32")).steps[0] == IdleStep(0)
