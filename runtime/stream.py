"""Streaming: one token at a time, with what attention needs of the tokens before it kept.

    before   Parameters, and the fields of the next token: x [batch, …]
    after    the program's output there [batch, …], or None where the token gives none

In-context learning is then online learning: the cost of a token is that of one token, whatever came before
(advance.py).
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any, TypeVar

import jax
import numpy as np
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.parts import LinearAttention
from innerloop.artifact.tokens import read_token, role_kinds
from innerloop.artifact.weights import Weights
from numpy.typing import ArrayLike, NDArray

from .advance import advance, empty, grown
from .guard.checks import GuardCheck
from .guard.findings import Findings
from .guard.guard import Guard
from .layers.steps import Memory
from .packing.packed import Parameters
from .surroundings import concrete

T = TypeVar("T")

ROOM = 128
"""Tokens that there is room for at first; it doubles when they are spent."""


class TokenStream:
    """A sequence that grows by a token a call; `Transformer.stream` makes it.

    The tokens come in the order of the program's pattern: prefix, then each group as often as you like,
    then the suffix. Where a group may begin again or what follows it begin, the fields that are given
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
        self._counts: Counter[str] = Counter()
        self._room = min(ROOM, weights.config.n_positions)
        self._told: set[str] = set()
        with self._precision():
            nothing = self._placed(empty(parameters.steps, batch, self._room, weights.config.d_model, dtype))
            *_, self._memory = self._advanced(None, self._features(0, {}), nothing, self._checks)

    def __len__(self) -> int:
        """The tokens pushed so far."""
        return self._tokens

    def push(self, kind: str | None = None, /, **fields: ArrayLike) -> Any:
        """Appends a token with these fields, each [batch, *shape], or *shape where the batch is 1. Its kind has to be
        said only where two kinds of token with the same fields may follow.

        The output at this token, [batch, *shape] (*shape, if its fields had no batch dimension), of several a dict by
        their names, or None if tokens of its kind give none. Raises DataError for a token that does not fit here, and
        RangeError under guard="raise"; the token is then not taken."""
        places = self._next(kind, set(fields))
        role = min(places)
        kind = self._kinds[role]
        assert kind is not None
        read, batched = read_token(self._weights.signature, self.batch, fields)
        limit = self._weights.config.n_positions - 1
        if self._tokens == limit:
            raise DataError(f"the stream is full: the weights were compiled for {limit} tokens; compile for more")
        for scan in self._weights.signature.scans:
            if scan.kind == kind and self._counts[kind] == scan.most:
                raise DataError(
                    f"the stream is full: the program scans `{kind}` up to {scan.most}, and it has as many; compile "
                    "for more"
                )
        self._inspect_inputs(read)
        with self._precision():
            self._make_room()
            features = self._features(role, read)
            output, worst, _, memory = self._advanced(kind, features, self._memory, self._checks)
            findings = Findings(self._guard, self._told, whole=False)
            findings.look(
                {time: np.asarray(excess) for time, excess in worst.items()},
                np.arange(self.batch),
                (kind,),
                lambda task: np.asarray(self._advanced(kind, features, self._memory, {}, keep=True)[2])[:, task],
                self._guard.settled(None),
                lambda *_: None,
                self._tokens,
            )
            findings.tell(4)
        self._memory = memory
        self._tokens += 1
        self._counts[kind] += 1
        self._places = places
        if kind not in self._weights.output.kinds:
            return None
        found = np.asarray(output).reshape(self.batch, *self._weights.output.shape)
        return self._weights.output.named(found if batched else found[0])

    def __repr__(self) -> str:
        pattern = str(self._weights.signature.pattern)
        return f"TokenStream({self._weights.signature.name}: {self._tokens} tokens of `{pattern}`, batch {self.batch})"

    def _next(self, kind: str | None, given: set[str]) -> frozenset[int]:
        """The places of the pattern, of one kind, at which a token with these fields may stand now, as roles."""
        signature = self._weights.signature
        pattern = signature.pattern
        if unknown := sorted(given - {field.name for field in signature.fields}):
            known = ", ".join(f"`{field.name}`" for field in signature.fields)
            raise DataError(f"{signature.name} has no field `{unknown[0]}`: its fields are {known}")
        may = {1 + after for role in self._places for after in pattern.after(role - 1)}
        may = {role for role in may if role < len(self._kinds)}
        if not may:
            raise DataError(f"the sequence is complete: `{pattern}` ends here; begin a new stream")
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
        raise DataError(f"token {self._tokens} of `{pattern}` is {wanted}; it was given {found}")

    def _inspect_inputs(self, read: dict[str, NDArray[Any]]) -> None:
        held = {name: np.ones(1, bool) for name in read}
        tokens = {name: array[:, None] for name, array in read.items()}
        self._guard.inspect_inputs(tokens, held, self._tokens)

    def _features(self, role: int, read: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """[batch, 1, features]."""
        return self._layout.token(role, read, self.batch, self._dtype)

    def _advanced(
        self,
        kind: str | None,
        features: NDArray[Any],
        memory: Memory,
        checks: dict[int, GuardCheck],
        keep: bool = False,
    ) -> tuple[Any, dict[int, Any], Any, Memory]:
        """What `advance` gives for the next token, which is of this kind (None: the rest token, the first)."""
        kinds = self._weights.signature.pattern.kinds
        place, number = (0, 0) if kind is None else (self._tokens + 1, 1 + kinds.index(kind))
        given = features, np.int32(place), memory, checks, np.int32(number)
        return advance(self._parameters, *given, kinds=kinds, keep=keep)

    @cached_property
    def _checks(self) -> dict[int, GuardCheck]:
        """The guard's bounds at the rest token, which has none, and at a token of each kind."""
        return self._placed(self._guard.checks(self._weights.signature.pattern.kinds, self._dtype, whole=False))

    def _make_room(self) -> None:
        if self._tokens + 1 < self._room:
            return
        self._room = min(2 * self._room, self._weights.config.n_positions)
        self._memory = grown(self._parameters.steps, self._memory, self._room)

    def _placed(self, arrays: T) -> T:
        """Where the parameters are, as what a step leaves is: it is compiled for each place that it finds it in."""
        placed: T = jax.device_put(arrays, self._parameters.positions.sharding)
        return placed

    def _precision(self) -> Any:
        return concrete(self._dtype)


def _listed(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "no fields"


def _verify(weights: Weights) -> None:
    config, signature = weights.config, weights.signature
    if not config.causal:
        raise InnerloopError(
            f"{signature.name} cannot be streamed: in `{signature.pattern}` tokens read later ones; "
            f"give it whole sequences"
        )
    if config.unread and any(isinstance(item, LinearAttention) for item in weights.sublayers()):
        raise InnerloopError(
            f"{signature.name} cannot be streamed: its last tokens are not read ({config.unread} of them), and which "
            f"these are is known at the end; give it whole sequences"
        )
