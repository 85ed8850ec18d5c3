"""Streaming: one token at a time, with what attention needs of the tokens before it kept.

    before   Parameters, and the fields of the next token: x [batch, …]
    after    the program's output there [batch, …], or None where the token gives none

A softmax head keeps the keys and values of all tokens (turned by their positions, where these are
rotary); a head of linear attention keeps the sums Σ k vᵀ and ρ. A loop keeps those of each pass. In-context
learning is then online learning: the cost of a token is that of one token, whatever came before.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.parts import LinearAttention
from innerloop.artifact.tokens import describe_pattern, read_token, role_kinds
from innerloop.artifact.weights import Weights
from jax import lax
from numpy.typing import ArrayLike, NDArray

from .arrays import Array, einsum, matmul
from .executables import compiled
from .forward import Pass, run, softmax_mean, split_heads, turned
from .functions import normed
from .guard.checks import GuardCheck, nothing_yet
from .guard.guard import Findings, Guard
from .pack import AttentionStep, LinearAttentionStep, LoopStep, Parameters, Step
from .surroundings import concrete

Memory = tuple[Any, ...]
"""For each step: keys and values [batch, room, heads, …], sums [batch, heads, …], of a loop [count, …], or None."""

ROOM = 32
"""Tokens that there is room for at first; it doubles when they are spent."""


class TokenStream:
    """A sequence that grows by a token a call; `Transformer.stream` makes it.

    The tokens come in the order of the program's pattern: prefix, then the group as often as you like,
    then the suffix. Where the group may begin again or the suffix begin, the fields that are given
    decide. Where both begin with the same kind of token it is the group, so that the sequence may go on.
    """

    def __init__(
        self, weights: Weights, parameters: Parameters, guard: Guard, dtype: np.dtype[Any], batch: int
    ) -> None:  # fmt: skip
        _verify(weights)
        self.batch = batch
        self._weights = weights
        self._parameters = parameters
        self._guard = guard
        self._dtype = dtype
        self._kinds = role_kinds(weights.signature.pattern)
        self._layout = FeatureLayout.of(weights.signature)
        self._places = frozenset({0})
        self._tokens = 0
        self._room = min(ROOM, weights.config.n_positions)
        self._told: set[str] = set()
        self._bounds: dict[str, dict[int, GuardCheck]] = {}
        with self._precision():
            rest = self._features(0, {})
            empty = _empty(parameters.steps, batch, self._room, dtype)
            *_, self._memory = advance(parameters, rest, 0, empty, {}, keep=False)

    def __len__(self) -> int:
        """The tokens pushed so far."""
        return self._tokens

    def push(self, kind: str | None = None, /, **fields: ArrayLike) -> NDArray[Any] | None:
        """Appends a token with these fields, each [batch, *shape], or *shape where the batch is 1. Its kind has to be
        said only where two kinds of token with the same fields may follow.

        The output at this token, [batch, *shape] (*shape, if its fields had no batch dimension), or None if tokens of
        its kind give none. Raises DataError for a token that does not fit here, and RangeError under
        guard="raise"; the token is then not taken."""
        places = self._next(kind, set(fields))
        role = min(places)
        kind = self._kinds[role]
        assert kind is not None
        read, batched = read_token(self._weights.signature, self.batch, fields)
        limit = self._weights.config.n_positions - 1
        if self._tokens == limit:
            raise DataError(f"the stream is full: the weights were compiled for {limit} tokens; compile for more")
        self._inspect_inputs(read)
        with self._precision():
            self._make_room()
            step = partial(advance, self._parameters, self._features(role, read), self._tokens + 1, self._memory)
            output, worst, _, memory = step(self._checks(kind), keep=False)
            findings = Findings(self._guard, self._told, whole=False)
            findings.look(
                {time: np.asarray(excess) for time, excess in worst.items()},
                0,
                (kind,),
                lambda task: np.asarray(step({}, keep=True)[2])[:, task],
                self._guard.settled(None),
                self._tokens,
            )
            findings.tell(4)
        self._memory = memory
        self._tokens += 1
        self._places = places
        if kind not in self._weights.output.kinds:
            return None
        found = np.asarray(output).reshape(self.batch, *self._weights.output.shape)
        return found if batched else found[0]

    def __repr__(self) -> str:
        pattern = describe_pattern(self._weights.signature.pattern)
        return f"TokenStream({self._weights.signature.name}: {self._tokens} tokens of `{pattern}`, batch {self.batch})"

    def _next(self, kind: str | None, given: set[str]) -> frozenset[int]:
        """The places of the pattern, of one kind, at which a token with these fields may stand now, as roles."""
        signature = self._weights.signature
        pattern = signature.pattern
        group = 1 + len(pattern.prefix)
        suffix = group + len(pattern.group)
        if unknown := sorted(given - {field.name for field in signature.fields}):
            known = ", ".join(f"`{field.name}`" for field in signature.fields)
            raise DataError(f"{signature.name} has no field `{unknown[0]}`: its fields are {known}")
        may: set[int] = set()
        for place in self._places:
            may |= {group, suffix} if place in (group - 1, suffix - 1) else {place + 1}
        may = {place for place in may if place < len(self._kinds)}
        if not may:
            raise DataError(f"the sequence is complete: `{describe_pattern(pattern)}` ends here; begin a new stream")
        holds = {place: {f.name for f in signature.fields if self._kinds[place] in f.kinds} for place in may}
        fits = frozenset(p for p in may if holds[p] == given and kind in (None, self._kinds[p]))
        if len({self._kinds[p] for p in fits}) > 1:
            kinds = " or ".join(f"`{self._kinds[p]}`" for p in sorted(fits))
            raise DataError(
                f"token {self._tokens} may be {kinds}: say which, as in push({self._kinds[min(fits)]!r}, …)"
            )
        if fits:
            return fits
        wanted = " or ".join(dict.fromkeys(f"`{self._kinds[p]}` with {_listed(holds[p])}" for p in sorted(may)))
        found = _listed(given) if kind is None else f"`{kind}` with {_listed(given)}"
        raise DataError(f"token {self._tokens} of `{describe_pattern(pattern)}` is {wanted}; it was given {found}")

    def _inspect_inputs(self, read: dict[str, NDArray[Any]]) -> None:
        held = {name: np.ones(1, bool) for name in read}
        tokens = {name: array[:, None] for name, array in read.items()}
        self._guard.inspect_inputs(tokens, held, self._tokens)

    def _features(self, role: int, read: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """[batch, 1, features]."""
        return self._layout.token(role, read, self.batch, self._dtype)

    def _checks(self, kind: str) -> dict[int, GuardCheck]:
        """The guard's bounds at a token of this kind, without the rest token's row."""
        if kind not in self._bounds:
            self._bounds[kind] = {
                time: c._replace(**{name: getattr(c, name)[1:] for name in ("low", "high", "most", "least")})
                for time, c in self._guard.checks((kind,), self._dtype, whole=False).items()
            }
        return self._bounds[kind]

    def _make_room(self) -> None:
        if self._tokens + 1 < self._room:
            return
        self._room = min(2 * self._room, self._weights.config.n_positions)
        self._memory = _grown(self._parameters.steps, self._memory, self._room)

    def _precision(self) -> Any:
        return concrete(self._dtype)


@partial(compiled, static_argnames="keep")
def advance(
    parameters: Parameters,
    features: Array,
    position: Array,
    memory: Memory,
    checks: dict[int, GuardCheck],
    *,
    keep: bool,
) -> tuple[Array, dict[int, Array], Array | None, Memory]:
    """One token [batch, 1, features] at `position`: its output [batch, size], by how much values were out of range (as
    `forward` has it), with `keep` the stream [1 + sublayers run, batch, 1, width], and what is remembered then."""

    def at(table: Array) -> Array:
        return lax.dynamic_slice_in_dim(table, position, 1)

    def mix(step: Any, projected: Array, memory: Any) -> tuple[Array, Any]:
        if isinstance(step, LinearAttentionStep):
            return _linear(step, projected, memory)
        query, key, value = split_heads(projected, step.heads, step.qk, step.qk, step.v)
        if turns is not None:
            query, key = turned(query, step, turns), turned(key, step, turns)
        keys, values = (
            lax.dynamic_update_slice_in_dim(kept, new, position, 1)
            for kept, new in zip(memory, (key, value), strict=True)
        )
        seen = jnp.arange(keys.shape[1])[None] <= position
        return softmax_mean(query, keys, values, seen, step), (keys, values)

    tables = parameters.rotations
    turns = None if tables is None else (at(tables[0]), at(tables[1]))
    stream = matmul(features, parameters.embedding) + at(parameters.positions)
    worst = nothing_yet(checks, stream)
    of = Pass(checks, lambda stream, _: stream if keep else None, mix)
    first = stream
    (stream, worst), kept, memory = run(parameters.steps, (stream, worst), memory, of)
    output = matmul(normed(stream[:, 0], parameters.final_norm), parameters.readout) + parameters.readout_bias
    return output, worst, None if kept is None else jnp.concatenate([first[None], kept]), memory


def _linear(step: LinearAttentionStep, projected: Array, memory: Any) -> tuple[Array, Any]:
    """q (Σ k vᵀ) / ρ, this token included."""
    query, key, value, count = split_heads(projected, step.heads, step.qk, step.qk, step.v, 1)
    moment = memory[0] + einsum("bthk,bthv->bhkv", key, value)
    rho = memory[1] + count
    mixed = einsum("bthk,bhkv->bthv", query, moment) / jnp.where(rho == 0, 1, rho)
    return mixed.reshape(*projected.shape[:2], -1), (moment, rho)


def _empty(steps: tuple[Step, ...], batch: int, room: int, dtype: np.dtype[Any]) -> Memory:
    """What is remembered before the first token."""

    def one(step: Step) -> Any:
        match step:
            case AttentionStep():
                return tuple(jnp.zeros((batch, room, step.heads, size), dtype) for size in (step.qk, step.v))
            case LinearAttentionStep():
                return jnp.zeros((batch, step.heads, step.qk, step.v), dtype), jnp.zeros(
                    (batch, 1, step.heads, 1), dtype
                )
            case LoopStep():
                inner = _empty(step.steps, batch, room, dtype)
                return jax.tree.map(lambda a: jnp.broadcast_to(a, (step.count, *a.shape)), inner)
            case _:
                return None

    return tuple(map(one, steps))


def _grown(steps: tuple[Step, ...], memory: Memory, room: int) -> Memory:
    """The same with room for more tokens in each cache of keys and values."""

    def one(step: Step, own: Any) -> Any:
        match step:
            case AttentionStep():
                return tuple(_padded(kept, room) for kept in own)
            case LoopStep():
                return _grown(step.steps, own, room)
            case _:
                return own

    return tuple(map(one, steps, memory))


def _padded(kept: Array, room: int) -> Array:
    more = [(0, 0)] * kept.ndim
    more[-3] = (0, room - kept.shape[-3])
    return jnp.pad(kept, more)


def _listed(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "no fields"


def _verify(weights: Weights) -> None:
    config, signature = weights.config, weights.signature
    if not config.causal:
        raise InnerloopError(
            f"{signature.name} cannot be streamed: in `{describe_pattern(signature.pattern)}` tokens read later ones; "
            f"give it whole sequences"
        )
    if config.unread and any(isinstance(item, LinearAttention) for item in weights.sublayers()):
        raise InnerloopError(
            f"{signature.name} cannot be streamed: its last tokens are not read ({config.unread} of them), and which "
            f"these are is known at the end; give it whole sequences"
        )
