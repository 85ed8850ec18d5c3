"""The trace of weights by hand, and the guard: every excess is named, with its place, and nothing else."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Floats
from innerloop.artifact.claims import Placement
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.parts import LinearAttention, Mlp, Repeated
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from innerloop.runtime import RangeError, RangeWarning, Transformer
from innerloop.runtime.guard.checks import excess
from innerloop.runtime.guard.side_by_side import check_of
from innerloop.runtime.guard.watches import Watch
from numpy.typing import NDArray

from tests.support.by_the_book import by_the_book, tasks
from tests.support.random_weights import Random, config, linear_tree


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
    monkeypatch.setattr("innerloop.runtime.trace.TRACE_BYTES", 10_000)
    with pytest.raises(DataError, match=r"trace at most \d+ tasks"):
        Transformer(watched()).trace(**tasks(50))


def test_values_within_their_ranges_say_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Transformer(watched(), guard="raise")(**tasks(3))


def test_the_guard_names_layer_token_task_and_component(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innerloop.runtime.calls.afford.CACHED_BYTES", 2 * 12 * 24 * 4)  # chunks of two tasks
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
    data = {name: array[6:7] for name, array in tasks(8).items()}
    _, streams = by_the_book(weights, **data)
    first, last = (np.abs(streams[k][:, 1::2, 5]).max() * 2 for k in (3, 5))
    assert first > 1.02 * last  # an early pass is out of the range, and the last is not
    wide[1] = 1.01 * last
    model = Transformer(replace(weights, body=body, layout=(replace(w, low=-wide, high=wide),)), guard="raise")
    assert model(**data).shape == (1, 6)


def test_the_first_sublayer_that_holds_a_value_is_looked_at() -> None:
    """`w` stands from sublayer 1 on, which is also the last one that it is looked at after."""
    weights = watched()
    w = replace(weights.layout[0], first=1, last=1, low=-np.full(2, 1e-3), high=np.full(2, 1e-3))
    with pytest.raises(RangeError, match=r"w reached .* at layer 0"):
        Transformer(replace(weights, layout=(w,)), guard="raise")(**tasks(1))
    still = Placement("v", (), frozenset({"x"}), Matrix.of([0], [0], [1.0], (16, 1)), 1, 1, np.zeros(1), np.zeros(1))
    body = list(weights.body)
    assert isinstance(body[1], Mlp)
    silent = np.asarray(body[1].down.csr.toarray())
    silent[:, 0] = 0.0  # sublayer 1 writes nothing to slot 0: `v` is there from attention 0, and is held from 1 on
    body[1] = replace(body[1], down=Matrix(silent), down_bias=np.where(np.arange(16) == 0, 0.0, body[1].down_bias))
    with pytest.raises(RangeError, match=r"v reached .* at layer 0"):
        Transformer(replace(weights, body=tuple(body), layout=(still,)), guard="raise")(**tasks(1))


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
    assert sorted(sizes) == [3, 5, 7, 9, 11]  # after sublayers 1 to 5
    assert sizes[7].shape == (3, 3)
    assert np.isinf(sizes[7][0]).all()  # the rest token is free


def test_values_that_linear_attention_writes_are_traced_and_guarded() -> None:
    """`w` in slot 3, from the first linear attention to the end of the loop, of which one attention leaves it alone."""
    weights = linear_tree(1, causal=False, unread=1)
    assert [n for n, item in enumerate(weights.sublayers()) if isinstance(item, LinearAttention)] == [2, 4, 6, 8]
    w = Placement("w", (), frozenset({"x", "y"}), Matrix.of([3], [0], [1.0], (16, 1)), 2, 7, -np.ones(1), np.ones(1))
    data = tasks(3)
    _, streams = by_the_book(weights, **data)

    model = Transformer(replace(weights, layout=(w,)), guard="off")
    trace = model.trace(**data)
    assert trace["w"].shape == (9, 3, 11)
    assert np.isnan(trace["w"][[0, 8]]).all()
    assert np.abs(trace["w"][1:8] - np.stack(streams[3:17:2])[..., 3]).max() < 1e-5

    after = {run: streams[run][..., 3] for run, (number, _) in enumerate(weights.unrolled()) if number in (2, 6)}
    assert len(after) == 5
    second, largest = np.sort(np.stack([*after.values()]).max((0, 2)))[-2:]
    limit = (second + largest) / 2  # one task alone leaves it
    run = min(run for run, values in after.items() if values.max() > limit)
    task, token = np.unravel_index(after[run].argmax(), (3, 11))
    model = Transformer(replace(weights, layout=(replace(w, low=np.array([-99.0]), high=np.array([limit])),)))
    assert sorted(model._guard.checks(("x", "y"), np.dtype("float32"))) == [5, 13]
    with pytest.warns(RangeWarning, match=rf"w reached .* at layer {run // 2}, token {token} \(task {task}\)"):
        model(**data)


def test_a_value_that_is_always_0_has_a_check() -> None:
    """Where no slot holds what is watched, and nothing else is watched at that time."""
    zero, ends = np.zeros((4, 1)), np.zeros(1)
    watch = Watch("value", frozenset({"x"}), zero, ends - 1.0, ends + 1.0, (ends, ends), frozenset({0}), (("r", None),))
    check = check_of([watch], ("x", "y"), True, np.dtype("float32"), True)
    assert np.array_equal(excess(np.ones((3, 3, 4), np.float32), check), np.full((3, 1), -1.0))
