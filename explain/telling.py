"""The most telling prompts: where two programs disagree most, and which of them the model follows there.

    random   the 64 of 4,096 drawn tasks on which f and g are furthest apart
    ascent   the same, moved by Adam on log Σ (f − g)², inputs and weights kept within the ball that holds 99 % of them

Only prompts are taken on which neither program answers more than the model does on 99 % of the tasks: beyond, a step
diverges that no transformer follows, and the tamer program is the nearer one whatever the model does elsewhere.
A set of prompts decides only if f and g are further apart on it than the model is from the nearer of them, by a factor
of 2: beyond that, a prompt is merely hard for the model. And then only if nine tasks in ten agree. Tasks vote, and not
mean squares, which single explosions decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from innerloop.artifact.arrays import Floats
from innerloop.runtime.executables import exact
from innerloop.runtime.surroundings import devices, settled
from numpy.typing import NDArray

from .behaviour import Behaviour
from .fit import Fitted

Array = Any
KEPT, STEPS, RATE = 64, 100, 0.03
FEW = 16
"""Fewer prompts than this decide nothing."""
FURTHER, AGREE = 2.0, 0.9


@dataclass(frozen=True)
class Telling:
    """`gap`: E (f − g)²; `first` and `second`: E (model − f)² and E (model − g)²; `votes`: the share of the tasks that
    are nearer f. x and y are the prompts [tasks, n + 1, d], [tasks, n]."""

    what: str
    gap: float
    first: float
    second: float
    votes: float
    x: Floats
    y: Floats

    @property
    def admissible(self) -> bool:
        return self.gap > FURTHER * min(self.first, self.second)

    @property
    def says(self) -> str:
        """first, second, or open."""
        if not self.admissible or 1 - AGREE < self.votes < AGREE:
            return "open"
        return "first" if self.votes >= AGREE else "second"


def telling(
    model: Behaviour, first: Fitted, second: Fitted, x: Floats, y: Floats, linear: bool, most: Floats
) -> list[Telling]:  # fmt: skip
    """On the best of the tasks x [tasks, n + 1, d], y [tasks, n]; and, where labels are `linear` in x, on what ascent
    makes of them. `most` [prefixes]: the largest answers that count. Of too few such prompts, none."""
    a, b = (f.candidate.answers(f.theta, f.counts, x, y) for f in (first, second))
    order = furthest(a, b, most)
    if len(order) < FEW:
        return []
    found = [_measured("random", model, first, second, x[order], y[order])]
    if linear:
        w = np.stack([np.asarray(np.linalg.lstsq(x[k, :-1], y[k], rcond=None)[0], np.float64) for k in order])
        radii = [float(np.quantile(np.linalg.norm(v, axis=-1), 0.99)) for v in (x, w)]
        moved = _ascent(first, second, x[order], w, radii)
        ends = [f.candidate.answers(f.theta, f.counts, *moved) for f in (first, second)]
        kept = np.logical_and(*(np.abs(end) <= most for end in ends)).all(1)
        if kept.sum() >= FEW:
            found.append(_measured("ascent", model, first, second, moved[0][kept], moved[1][kept]))
    return found


def furthest(a: Floats, b: Floats, most: Floats) -> NDArray[np.intp]:
    """The tasks on which answers a and b [tasks, prefixes] are furthest apart; only such where none is above `most`."""
    usual = np.flatnonzero(((np.abs(a) <= most) & (np.abs(b) <= most)).all(1))
    return usual[np.argsort(-((a - b)[usual] ** 2).sum(1), kind="stable")[:KEPT]]


def _measured(what: str, model: Behaviour, first: Fitted, second: Fitted, x: Floats, y: Floats) -> Telling:
    prefixes = first.candidate.prefixes
    p = model.ask(x, y, prefixes)
    f, g = (s.candidate.answers(s.theta, s.counts, x, y) for s in (first, second))
    near, far = ((p - f) ** 2).sum(1), ((p - g) ** 2).sum(1)
    gap, from_first, from_second = (float(((u - v) ** 2).mean()) for u, v in ((f, g), (p, f), (p, g)))
    return Telling(what, gap, from_first, from_second, float((near < far).mean()), x, y)


def _ascent(first: Fitted, second: Fitted, x: Floats, w: Floats, radii: list[float]) -> tuple[Floats, Floats]:
    programs: list[Callable[[Array, Array], Array]] = [
        lambda x, y, f=f: f.candidate.tasks(jnp.asarray(f.theta), f.counts, x, y)  # type: ignore[misc]
        for f in (first, second)
    ]

    def score(moving: tuple[Array, Array]) -> Array:
        x, w = moving
        y = (x[:, :-1] * w[:, None]).sum(-1)
        return jnp.log(((programs[0](x, y) - programs[1](x, y)) ** 2).sum(1) + 1e-12).sum()

    def within(v: Array, radius: float) -> Array:
        return v * jnp.minimum(1.0, radius / jnp.maximum(jnp.linalg.norm(v, axis=-1, keepdims=True), 1e-12))

    with settled("float64"):
        rule = optax.adam(RATE)

        def step(_: Any, carry: Any) -> Any:
            moving, state = carry
            slope = jax.tree.map(lambda s: -jnp.nan_to_num(s, posinf=0.0, neginf=0.0), jax.grad(score)(moving))
            change, state = rule.update(slope, state)
            ahead: Any = optax.apply_updates(moving, change)
            moving = tuple(within(v, r) for v, r in zip(ahead, radii, strict=True))
            return moving, state

        def climb(moving: Any) -> Any:
            return jax.lax.fori_loop(0, STEPS, step, (moving, rule.init(moving)))[0]

        ends, found = jax.jit(climb, compiler_options=exact(devices()[0].platform))((x, w))
        ends, found = np.asarray(ends), np.asarray(found)
    return ends, np.einsum("tnd,td->tn", ends[:, :-1], found)
