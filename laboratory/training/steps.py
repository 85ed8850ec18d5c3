"""The steps of a training run: one jitted function of many, and the state that it moves.

Stepper   model, task and rule   →   a function of `count` steps, compiled once for all runs of the three
Run       parameters, the optimiser's state and the losses, after so many steps
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.parts import Config
from innerloop.artifact.words import OptimiserName, Products
from innerloop.runtime.arrays import halved
from innerloop.runtime.executables import exact
from innerloop.runtime.surroundings import devices, key
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from .checkpoint import Arrays, Checkpoint
from .model import Model, Tree
from .tasks import TaskDistribution

CALL_OPERATIONS = 10**12
"""About so many floating-point operations go into one call of the jitted function, of 100 steps at most: enough that
starting it and fetching its memory cost little, and few enough that the progress is seen, every few seconds."""


CACHED_BYTES = 2**22
"""The widest activation of a part of a batch on a CPU: about what stays in its cache with what the backward pass needs
(Garg et al.'s 12 × 256, batch 64: 2.10 s a gradient in one part, 1.68 in 2, 1.47 in 4, 1.41 in 8, 1.62 in 16)."""


@dataclass(frozen=True)
class Rule:
    """How `train` moves the parameters, by what it was given. `steps`: at which the rate is 0; None, it is constant.
    `decay`: of matrices, apart from the gradient (Loshchilov and Hutter 2019). `products`: what their factors are
    rounded to, in the pass and its gradient."""

    steps: int | None
    rate: float
    warmup: int
    clip: float | None
    kind: OptimiserName = "adam"
    decay: float = 0.0
    products: Products = "float32"

    def optimiser(self) -> Any:
        rates = optax.linear_schedule(0.0 if self.warmup else self.rate, self.rate, max(self.warmup, 1))
        if self.steps is not None:
            longest = max(self.steps, self.warmup + 1)
            rates = optax.warmup_cosine_decay_schedule(0.0, self.rate, self.warmup, longest)
        clipped = [] if self.clip is None else [optax.clip_by_global_norm(self.clip)]
        if self.kind == "sgd":
            shrunk = [optax.add_decayed_weights(self.decay, _matrices)] if self.decay else []
            return optax.chain(*clipped, *shrunk, optax.sgd(rates))
        if not self.decay:
            return optax.chain(*clipped, optax.adam(rates))
        return optax.chain(*clipped, optax.adamw(rates, weight_decay=self.decay, mask=_matrices))


def _matrices(tree: Tree) -> dict[str, bool]:
    """What decays: no bias, and no norm's gain."""
    return {name: value.ndim > 1 for name, value in tree.items()}


class Stepper:
    """The jitted function of many steps, for one model, task and rule."""

    def __init__(self, model: Model, task: TaskDistribution, batch: int, frozen: frozenset[str], rule: Rule) -> None:
        found = devices()
        if batch % len(found):
            raise InnerloopError(f"batch={batch}: must be a multiple of {len(found)}, the number of devices")
        mesh = Mesh(np.array(found), ("batch",))
        self.whole = NamedSharding(mesh, PartitionSpec())  # type: ignore[no-untyped-call]
        self._split = NamedSharding(mesh, PartitionSpec(None, "batch"))  # type: ignore[no-untyped-call]
        platform = found[0].platform
        if rule.products != "float32" and (platform == "cpu" or model.config.dtype != "float32"):
            what = "a CPU multiplies in float32" if platform == "cpu" else f"this model is of {model.config.dtype}"
            raise InnerloopError(f"products={rule.products}: {what}: leave it out, or train float32 on a GPU or a TPU")
        self._rounded = halved if rule.products == "bfloat16" else nullcontext
        self.model, self.frozen, self.optimiser = model, frozen, rule.optimiser()
        self._task, self._batch = task, batch
        self.dtype: Dtype = model.config.dtype
        fields = jax.eval_shape(lambda: task.sample(key(0), batch, dtype=self.dtype))
        tokens = jax.eval_shape(partial(model.streams, model.parameters), fields).shape[2]
        numbers = sum(value.size for name, value in model.parameters.items() if name not in ("embedding", "positions"))
        self.together = min(100, max(1, CALL_OPERATIONS // (6 * batch * tokens * max(1, numbers))))
        most = CACHED_BYTES // widest_bytes(model.config, tokens)
        self.parts = _parts(batch, len(found), most) if platform == "cpu" else 1
        options = exact(platform)
        self.call = jax.jit(self._steps, static_argnames="points", donate_argnums=0, compiler_options=options)

    def _steps(
        self, carry: Any, fixed: Tree, key: Any, first: Any, count: Any, dimensions: Any, points: int | None
    ) -> tuple[Any, Any]:
        """`count` steps, `together` at most; their losses, and the norms of their gradients. One code for every count:
        where a run is cut into calls does not move a bit of it."""

        def one(k: Any, carry: Any) -> tuple[Any, Any]:
            (moving, state), (losses, norms) = carry
            drawn = jax.random.fold_in(key, first + k)
            fields = self._task.sample(drawn, self._batch, points, dimensions, dtype=self.dtype)
            parts = {n: a.reshape(self.parts, -1, *a.shape[1:]) for n, a in fields.items()}
            parts = jax.lax.with_sharding_constraint(parts, self._split)  # type: ignore[no-untyped-call]

            def loss(moving: Tree, part: Any) -> Any:
                return self._task.loss(self.model.apply(moving | fixed, part), part)

            def add(total: Tree, part: Any) -> tuple[Tree, Any]:
                with self._rounded():
                    value, gradient = jax.value_and_grad(loss)(moving, part)
                return jax.tree.map(jnp.add, total, gradient), value

            total, values = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, moving), parts)
            value, gradient = values.mean(), jax.tree.map(lambda sum_: sum_ / self.parts, total)
            updates, state = self.optimiser.update(gradient, state, moving)
            told = losses.at[k].set(value.astype(losses.dtype)), norms.at[k].set(_norm(gradient).astype(norms.dtype))
            return (optax.apply_updates(moving, updates), state), told

        empty = jnp.zeros(self.together, jnp.float32)
        found: tuple[Any, Any] = jax.lax.fori_loop(0, count, one, (carry, (empty, empty)))
        return found


def _norm(gradient: Tree) -> Any:
    """As long as it was before it is clipped."""
    return optax.global_norm(gradient)


def _parts(batch: int, devices: int, most: int) -> int:
    """Into how many equal parts a batch goes, each of at most so many tasks and the same on every device; 1 where such
    parts would be much smaller than they may be."""
    for parts in range(1, batch // devices + 1):
        if batch % (parts * devices) == 0 and batch // parts <= max(most, devices):
            return parts if 4 * batch // parts >= min(most, batch) else 1
    return 1


stepper_of = lru_cache(maxsize=4)(Stepper)
"""Runs of one model, task and rule share what was compiled, as when one is resumed or repeated with another seed."""


class Run:
    """The state of a run: `losses`, and `norms` of the gradients, of the `step` steps that are done."""

    def __init__(self, stepper: Stepper, seed: int) -> None:
        self._stepper = stepper
        self._key = key(seed)
        # Copies: those that train are given away to each call.
        copies = {name: jnp.array(value) for name, value in stepper.model.parameters.items()}
        self._fixed = self._placed({name: copies[name] for name in sorted(stepper.frozen)})
        moving = {name: value for name, value in copies.items() if name not in stepper.frozen}
        self._carry: Any = self._placed((moving, stepper.optimiser.init(moving)))
        self.step = 0
        self.losses = self.norms = np.zeros(0, np.float32)

    def _placed(self, tree: Any) -> Any:
        return jax.device_put(tree, self._stepper.whole)

    def advance(self, end: int, points: int | None, dimensions: int) -> NDArray[np.float32]:
        """Goes on until `end` steps are done; their losses."""
        first = self.step
        numbers = np.int32(first), np.int32(end - first), np.int32(dimensions)
        self._carry, (found, sizes) = self._stepper.call(self._carry, self._fixed, self._key, *numbers, points=points)
        losses = np.asarray(found)[: end - first]
        self.step, self.losses = end, np.concatenate([self.losses, losses])
        self.norms = np.concatenate([self.norms, np.asarray(sizes)[: end - first]])
        return losses

    def finite(self) -> bool:
        return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(self._carry))

    def parameters(self) -> Tree:
        moving: Tree = self._carry[0]
        return {name: (moving | self._fixed)[name] for name in self._stepper.model.parameters}

    def state(self) -> Arrays:
        """All that the next steps depend on, and the losses and the norms so far."""
        leaves = {f"carry.{k}": np.asarray(leaf) for k, leaf in enumerate(jax.tree.leaves(self._carry))}
        return leaves | {"losses": self.losses, "norms": self.norms}

    def restore(self, kept: Checkpoint) -> None:
        leaves, structure = jax.tree.flatten(self._carry)
        found = [kept.arrays[f"carry.{k}"] for k in range(len(leaves))]
        self._carry = self._placed(jax.tree.unflatten(structure, found))
        self.step, self.losses = kept.step, kept.arrays["losses"]
        self.norms = kept.arrays.get("norms", np.full_like(self.losses, np.nan))  # older runs kept none


def widest_bytes(config: Config, tokens: int) -> int:
    """The widest activation of a task of so many tokens, and the rest token: neurons, scores or the stream."""
    widest = max(config.d_mlp, config.n_head * (tokens + 1), config.d_model)
    return (tokens + 1) * widest * np.dtype(config.dtype).itemsize
