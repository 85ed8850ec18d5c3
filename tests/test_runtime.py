"""The forward pass against GPT-2's block written out in NumPy float64, and what stands around it."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from innerloop.compiler.errors import DataError, InnerloopError
from innerloop.compiler.sparse import Floats, Matrix
from innerloop.compiler.tokens import output_rows, read_data
from innerloop.compiler.weights import Attention, Idle, Mlp, Norm, Placement, Repeated, Weights
from innerloop.runtime import RangeError, RangeWarning, Transformer
from innerloop.runtime.forward import attend, forward, layer_norm
from innerloop.runtime.pack import AttentionStep, NormStep, Spread
from numpy.typing import NDArray

from .random_weights import Random, config, tree

# GPT-2, by the book ------------------------------------------------------------------------------


def normed(x: Floats, norm: Norm, epsilon: float) -> Floats:
    centred = x - x.mean(-1, keepdims=True)
    y: Floats = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * norm.gain + norm.bias
    return y


def attention(x: Floats, item: Attention, weights: Weights) -> Floats:
    heads, size = weights.config.n_head, weights.config.d_head
    query = x @ item.query.csr.toarray() + item.query_bias
    key = x @ item.key.csr.toarray() + item.key_bias
    value = x @ item.value.csr.toarray() + item.value_bias
    mixed = np.zeros_like(value)
    for head in range(heads):
        part = np.s_[..., head * size : (head + 1) * size]
        logits = query[part] @ np.swapaxes(key[part], -1, -2) / np.sqrt(size)
        if weights.config.causal:
            logits = np.where(np.tri(x.shape[1], dtype=bool), logits, -np.inf)
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        mixed[part] = shares / shares.sum(-1, keepdims=True) @ value[part]
    y: Floats = mixed @ item.output.csr.toarray() + item.output_bias
    return y


def mlp(x: Floats, item: Mlp) -> Floats:
    h = x @ item.up.csr.toarray() + item.up_bias
    gelu = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    y: Floats = gelu @ item.down.csr.toarray() + item.down_bias
    return y


def by_the_book(weights: Weights, **fields: Any) -> tuple[Floats, list[Floats]]:
    """The output, and the stream without the rest token after each sublayer."""
    data = read_data(weights.signature, fields)
    epsilon = weights.config.norm_epsilon
    roles = np.eye(len(weights.roles))[[0, *data.sequence.roles]]
    held = np.concatenate([data.fields[field.name] for field in weights.signature.fields], -1)
    held = np.concatenate([np.zeros_like(held[:, :1]), held], 1)
    features = np.concatenate([np.broadcast_to(roles, (len(held), *roles.shape)), held], -1)
    stream = features @ weights.embedding.csr.toarray() + weights.positions[: features.shape[1]]
    streams = []
    for _, item in weights.unrolled():
        if isinstance(item, Attention):
            stream = stream + attention(normed(stream, item.norm, epsilon), item, weights)
        elif isinstance(item, Mlp):
            stream = stream + mlp(normed(stream, item.norm, epsilon), item)
        streams.append(stream[:, 1:])
    rows = output_rows(data.sequence, weights.output.kinds) + 1
    output = normed(stream, weights.final_norm, epsilon) @ weights.readout.csr.toarray() + weights.readout_bias
    return output[:, rows, 0], streams


def tasks(batch: int, examples: int = 5, seed: int = 0) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    return {"x": rng.standard_normal((batch, examples + 1, 3)), "y": rng.standard_normal((batch, examples))}


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("dtype", "error"), [("float32", 5e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("seed", range(3))
def test_random_trees_are_gpt2(seed: int, dtype: str, error: float, causal: bool) -> None:
    weights = tree(seed, causal=causal, dtype=dtype)
    data = tasks(4, seed=seed)
    output = Transformer(weights)(**data)
    expected, _ = by_the_book(weights, **data)
    assert output.dtype == dtype
    assert output.shape == expected.shape == (4, 6)
    assert np.abs(output - expected).max() < error * max(1.0, np.abs(expected).max())


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


def test_float64_beside_float32_leaves_the_users_setting_alone() -> None:
    weights = tree(2)
    data = tasks(3)
    before = jax.numpy.ones(1).dtype
    double, single = Transformer(weights, "float64"), Transformer(weights, "float32")
    exact, rounded = double(**data), single(**data)
    assert exact.dtype == np.float64
    assert rounded.dtype == np.float32
    assert 0 < np.abs(exact - rounded).max() < 1e-5
    assert np.array_equal(double(**data), exact)
    assert jax.numpy.ones(1).dtype == before


def test_a_large_batch_in_chunks_of_one_size_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tree(3)
    data = tasks(50)
    whole = Transformer(weights)(**data)
    monkeypatch.setattr("innerloop.runtime.transformer.CACHED_BYTES", 8 * 12 * 24 * 4)
    done: list[tuple[int, int]] = []
    model = Transformer(weights, on_chunk=lambda *progress: done.append(progress))
    model(**data)
    compiled = forward._cache_size()  # type: ignore[attr-defined]
    assert np.abs(model(**data) - whole).max() < 1e-6
    assert forward._cache_size() == compiled  # type: ignore[attr-defined]
    assert done[-1] == (50, 50)
    assert len(done) // 2 > 3


def test_devices_share_a_batch() -> None:
    """Two devices of the host's: the same outputs, in a process of its own since devices are set once."""
    code = (
        "import sys; sys.path.insert(0, 'tests'); import jax, numpy as np, random_weights as r;"
        "from innerloop.runtime import Transformer; assert len(jax.devices()) == 2;"
        "g = np.random.default_rng(0); x, y = g.standard_normal((7, 6, 3)), g.standard_normal((7, 5));"
        "m = Transformer(r.tree(3)); m.trace(x=x, y=y); print(m(x=x, y=y).astype(float).tobytes().hex())"
    )
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    output = np.frombuffer(bytes.fromhex(run.stdout.strip())).reshape(7, 6)
    assert np.abs(output - Transformer(tree(3))(**tasks(7))).max() < 1e-6


def test_data_without_a_batch_gives_an_output_without_one() -> None:
    model = Transformer(tree(1))
    data = tasks(1)
    assert np.array_equal(model(**{name: values[0] for name, values in data.items()}), model(**data)[0])


def test_a_sequence_longer_than_the_weights_is_refused() -> None:
    with pytest.raises(DataError, match=r"`x y` 40 times, 81 tokens; .* at most 31 times, 63 tokens"):
        Transformer(tree(1))(**tasks(1, examples=40))


@pytest.mark.parametrize(("dtype", "guard"), [("float16", "warn"), (None, "loud")])
def test_unknown_settings_are_refused(dtype: Any, guard: Any) -> None:
    with pytest.raises(InnerloopError, match="must be"):
        Transformer(tree(1), dtype, guard)


def test_another_architecture_is_refused() -> None:
    weights = tree(1)
    with pytest.raises(InnerloopError, match="norm 'rmsnorm'"):
        Transformer(replace(weights, config=replace(weights.config, norm="rmsnorm")))


# The arithmetic that compiled constructions rest on ----------------------------------------------


def plain(width: int, dtype: Any, epsilon: float = 1e-5) -> NormStep:
    return NormStep(np.ones(width, dtype), np.zeros(width, dtype), np.asarray(epsilon, dtype), np.asarray(width, dtype))


@pytest.mark.parametrize("width", [64, 160, 250])
def test_large_constants_cancel_in_the_mean_and_make_the_norm_a_constant(width: int) -> None:
    rng = np.random.default_rng(width)
    x = rng.standard_normal((300, width)).astype(np.float32)
    x[:, 10], x[:, 11] = 2.0**40, -(2.0**40)
    y = np.asarray(jax.jit(layer_norm)(x, plain(width, np.float32)))
    constant = np.sqrt(2.0 / width) * 2.0**40
    assert np.abs(y[:, 10] * constant / 2.0**40 - 1).max() < 1e-6
    others = np.delete(np.arange(width), [10, 11])
    expected = x[:, others] - x[:, others].astype(np.float64).sum(-1, keepdims=True) / width
    assert np.abs(y[:, others] * constant - expected).max() < 1e-6


@pytest.mark.parametrize("width", [32, 128, 512, 160])
def test_a_norm_that_is_a_power_of_two_is_exact(width: int) -> None:
    """Slots ±C with (number of them) / width a power of four: the norm is C / 2ᵏ, bit for bit."""
    slots = 10 if width == 160 else 2
    x = np.zeros((64, width), np.float32)
    values = np.random.default_rng(0).standard_normal((64, (width - slots) // 2)).astype(np.float32)
    x[:, slots::2], x[:, slots + 1 :: 2] = values, -values  # a mean of exactly 0
    x[:, 0:slots:2], x[:, 1:slots:2] = 2.0**30, -(2.0**30)
    y = np.asarray(jax.jit(layer_norm)(x, plain(width, np.float32)))
    scale = np.sqrt(slots / width) * 2.0**30
    assert np.log2(scale) % 1 == 0
    assert np.array_equal(y * np.float32(scale), x)


@pytest.mark.parametrize(("dtype", "gap"), [("float32", 104.0), ("float64", 746.0)])
def test_a_lone_winner_is_copied_bit_for_bit(dtype: str, gap: float) -> None:
    tokens = 1024
    rng = np.random.default_rng(0)
    with jax.enable_x64(dtype == "float64"):
        qkv = np.zeros((1, tokens, 3), dtype)
        qkv[..., 0], qkv[..., 1] = 1.0, np.where(np.arange(tokens) == 0, gap, 0.0)
        qkv[..., 2] = rng.standard_normal(tokens)
        none: Any = np.zeros(1)
        step = AttentionStep(
            plain(1, dtype), None, none, none, none, Spread(None, none), 0, heads=1, qk=1, v=1, d_head=1, causal=True
        )
        mixed = np.asarray(jax.jit(lambda x: attend(x, step))(qkv))
    assert np.array_equal(mixed[0, :, 0], np.full(tokens, qkv[0, 0, 2]))


def test_an_idle_head_and_a_closed_mlp_cost_and_change_nothing() -> None:
    draw = Random(3, config(1))
    full = draw.attention()
    idle = replace(full, output=Matrix.zero(16, 16), output_bias=np.zeros(16))
    with_idle = draw.weights((idle, draw.mlp()))
    without = replace(with_idle, body=(Idle("attention"), with_idle.body[1]))
    data = tasks(2)
    assert np.array_equal(Transformer(with_idle)(**data), Transformer(without)(**data))


# Trace and guard ---------------------------------------------------------------------------------


def watched(low: Floats | None = None, high: Floats | None = None, **kinds: frozenset[str]) -> Weights:
    """Four layers, the middle two a loop: `w` [2] in slots 3, 5 from sublayer 1 on, `s` a mixture from 3 to 4."""
    draw = Random(11, config(4))
    loop = Repeated(2, (draw.attention(), draw.mlp()))
    body = (draw.attention(), draw.mlp(), loop, draw.attention(), draw.mlp())
    wide = np.full(2, 1e3)
    low, high = -wide if low is None else low, wide if high is None else high
    w = Matrix.of([3, 5], [0, 1], [1.0, -2.0], (16, 2))
    s = Matrix.of([1, 2, 9], [0, 0, 0], [1.0, 0.5, -1.0], (16, 1))
    both = frozenset({"x", "y"})
    layout = (
        Placement(
            "w", (2,), kinds.get("w", both), w, 1, 5, -wide if low is None else low, wide if high is None else high
        ),
        Placement("s", (), kinds.get("s", frozenset({"y"})), s, 3, 4, -wide[:1], wide[:1]),
    )
    return draw.weights(body, layout=layout)


def test_trace_decodes_every_name_at_every_layer() -> None:
    weights = watched()
    data = tasks(3)
    trace = Transformer(weights).trace(**data)
    _, streams = by_the_book(weights, **data)
    after = np.stack(streams[1::2])
    assert trace.names == ("w", "s")
    assert trace["w"].shape == (4, 3, 11, 2)
    assert np.abs(trace["w"] - after[..., [3, 5]] * [1.0, -2.0]).max() < 1e-5
    held = np.isfinite(trace["s"])
    assert trace["s"].shape == (4, 3, 11)
    assert held[1:3, :, 1::2].all()  # sublayer 3 is the loop's MLP: layers 1 and 2
    assert held.sum() == 2 * 3 * 5
    mixture = after[..., 1] + 0.5 * after[..., 2] - after[..., 9]
    assert np.abs((trace["s"] - mixture)[held]).max() < 1e-5
    assert "4 layers, 3 tasks, 11 tokens" in repr(trace)
    assert "layers 1 to 2" in repr(trace)


def test_an_unknown_name_is_named_with_those_known() -> None:
    trace = Transformer(watched()).trace(**tasks(1))
    with pytest.raises(KeyError) as caught:
        trace["v"]
    assert isinstance(caught.value, InnerloopError)
    assert str(caught.value) == "the trace holds no `v`; its names are: w, s"
    assert "v" not in trace


def test_a_trace_that_is_too_large_is_refused_with_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innerloop.runtime.transformer.TRACE_BYTES", 10_000)
    with pytest.raises(DataError, match=r"trace at most \d+ tasks"):
        Transformer(watched()).trace(**tasks(50))


def test_values_within_their_ranges_say_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Transformer(watched(), guard="raise")(**tasks(3))


def test_the_guard_names_layer_token_task_and_component(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innerloop.runtime.transformer.CACHED_BYTES", 2 * 12 * 24 * 4)  # chunks of two tasks
    data = tasks(5)
    data["x"][3] *= 4 / np.abs(data["x"][3]).max()
    _, streams = by_the_book(watched(), **data)
    w = np.stack([streams[k] for k in (1, 2, 3, 4, 5, 6, 7)])[..., [3, 5]] * [1.0, -2.0]
    w[:, :, 0::2] = 0.0  # held at y only, below
    largest = np.sort(w[..., 1].max((0, 2)))
    limit = (largest[-1] + largest[-2]) / 2  # one task alone leaves it
    run, task, token = np.argwhere(w[..., 1] > limit)[0]
    token = w[run, task, :, 1].argmax()
    weights = watched(np.array([-99.0, -99.0]), np.array([99.0, limit / 1.001]), w=frozenset({"y"}))
    expected = (
        f"w reached {w[run, task, token, 1]:.4g} at layer {(run + 1) // 2}, token {token} (task {task}, component 1); "
        f"compiled for [-99, {limit / 1.001:.4g}]"
    )
    with pytest.warns(RangeWarning) as caught:
        Transformer(weights)(**data)
    assert len(caught) == 1
    assert str(caught[0].message).startswith(expected)
    assert caught[0].filename == __file__
    with pytest.raises(RangeError) as refused:
        Transformer(weights, guard="raise")(**data)
    assert str(refused.value).startswith(expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Transformer(weights, guard="off")(**data)


def test_in_a_scan_only_the_last_pass_counts() -> None:
    """Tokens whose turn has not come hold anything; a repeat's values have to be right in every pass."""
    weights = watched()
    data = tasks(1)
    _, streams = by_the_book(weights, **data)
    first, last = (np.abs(streams[k][:, 1::2, 5]).max() * 2 for k in (3, 5))  # at y, after the loop's MLP
    bound = np.array([99.0, 0.9 * min(first, last)])
    w = replace(weights.layout[0], kinds=frozenset({"y"}), first=3, last=3, low=-bound, high=bound)
    loop = weights.body[2]
    assert isinstance(loop, Repeated)
    for scan, layer in ((False, 1), (True, 2)):
        body = (*weights.body[:2], replace(loop, scan=scan), *weights.body[3:])
        with pytest.warns(RangeWarning, match=f"w reached .* at layer {layer}, .* component 1"):
            Transformer(replace(weights, body=body, layout=(w,)))(**data)
    wide = np.array([99.0, 1.1 * last])
    model = Transformer(replace(weights, body=body, layout=(replace(w, low=-wide, high=wide),)), guard="raise")
    assert model(**data).shape == (1, 6)


def test_a_value_that_is_no_number_is_named() -> None:
    weights = watched()
    body = list(weights.body)
    assert isinstance(body[1], Mlp)
    body[1] = replace(body[1], up_bias=np.full(20, 3e38), down=Matrix(np.full((20, 16), 3e38)))
    with pytest.raises(RangeError, match=r"w reached (nan|inf|-inf) at layer 0"):
        Transformer(replace(weights, body=tuple(body)), guard="raise")(**tasks(1))


def test_an_input_out_of_its_range_is_named() -> None:
    data = tasks(3)
    data["x"][2, 1, 0] = -6.25
    message = r"x reached -6.25 at token 2 \(task 2, component 0\); compiled for \[-4, 4\]"
    with pytest.warns(RangeWarning, match=message) as caught:
        Transformer(watched())(**data)
    assert caught[0].filename == __file__
    with pytest.raises(RangeError, match=message):
        Transformer(watched(), guard="raise")(**data)


def test_the_guard_looks_only_where_a_value_can_be_new() -> None:
    """`s` is written by no sublayer between its first and last but sublayer 3 itself and attention 4."""
    checks = Transformer(watched())._guard.checks(("x", "y"), np.dtype("float32"))
    sizes: dict[int, NDArray[Any]] = {number: check.low for number, check in checks.items()}
    assert sorted(sizes) == [1, 2, 3, 4, 5]
    assert sizes[3].shape == (3, 3)
    assert np.isinf(sizes[3][0]).all()  # the rest token is free
