"""A read in JAX: its body over pairs of tokens, summed over the token read.

A body value is [readers, read, size, tasks], with 1 readers if it is theirs alone and 1 read if mine alone, as in the
oracle (compiler/interpreter/reads.py); XLA makes one loop of the sum and of what is under it.
"""

from __future__ import annotations

from typing import assert_never

import jax.numpy as jnp
import numpy as np
from innerloop.artifact.errors import InternalError
from innerloop.compiler.ir.graph import (
    SCORED,
    Affine,
    BodyGraph,
    Constant,
    Mine,
    Node,
    Product,
    Read,
    Theirs,
    Value,
)
from innerloop.compiler.ir.operation_classes import Local, Reads, Source, Structural

from .operations import Array, affine, local, product, softmax_weights, summed, weights

BLOCKS = 4
"""Of readers, each with what one of them sees."""


def read(op: Read, mine: list[Array], theirs: list[Array], seen: Array) -> Array:
    """mine [readers, size …, tasks], theirs [read, size …, tasks], seen [readers, read] → [readers, size, tasks]."""
    if not mine or not isinstance(seen, np.ndarray) or len(seen) < BLOCKS:
        return _read(op, mine, theirs, seen)
    found = list[Array]()
    for some in np.array_split(np.arange(len(seen)), BLOCKS):
        columns = np.flatnonzero(seen[some].any(0))
        read = slice(columns[0], columns[-1] + 1) if columns.size else slice(0, 0)
        at = slice(some[0], some[-1] + 1)
        own = [array if array.shape[0] == 1 else array[at] for array in mine]
        others = [array if array.shape[0] == 1 else array[read] for array in theirs]
        found.append(_read(op, own, others, seen[at, read]))
    return jnp.concatenate(found)


def _read(op: Read, mine: list[Array], theirs: list[Array], seen: Array) -> Array:
    known: dict[Value, Array] = {}
    for value in op.body.block:
        known[value] = _computed(op.body, op.body[value], known, mine, theirs)
    if op.how in SCORED:
        score, value = op.body.results
        pairs = known[score][..., 0, :]
        return _scored(op.how, jnp.broadcast_to(pairs, (*seen.shape, pairs.shape[-1])), seen, known[value])
    return _total(known[op.body.results[0]], weights(op.how, seen))


def gather(how: str, theirs: Array, seen: Array) -> Array:
    """theirs [read, size, tasks] → [readers, size, tasks]."""
    return _total(theirs[None], weights(how, seen))


def attend(how: str, query: Array, key: Array, theirs: Array, seen: Array) -> Array:
    """query [readers, k, tasks], key [read, k, tasks], theirs [read, size, tasks] → [readers, size, tasks]."""
    scores = (query[:, None] * key[None]).sum(2)
    if how in SCORED:
        return _scored(how, scores, seen, theirs[None])
    return _total(theirs[None], scores * weights(how, seen))


def _scored(how: str, scores: Array, seen: Array, value: Array) -> Array:
    """Values weighed by a softmax, or by exp, of scores [readers, read, tasks]; 0 where unseen."""
    if how != "softmax":
        return _total(value, jnp.exp(jnp.where(seen[..., None], scores, -jnp.inf)))
    by = softmax_weights(scores, seen)
    whole = summed(by, 1)
    return _total(value, by) / jnp.where(whole == 0, 1.0, whole)


def _total(value: Array, by: Array) -> Array:
    """Σⱼ by[i, j] value[i, j], for by [readers, read, tasks or 1]."""
    if value.shape[1] == 1:
        return summed(by, 1) * value[:, 0]
    if value.shape[0] == 1 and by.shape[-1] == 1 and by.shape[0] > 1:
        return jnp.tensordot(by[..., 0], value[0], 1)
    return summed(by[:, :, None] * value, 1)[:, 0]


def _computed(body: BodyGraph, node: Node, known: dict[Value, Array], mine: list[Array], theirs: list[Array]) -> Array:
    operands = [known[o] for o in node.operands]
    match node.op:
        case Mine(index):
            return mine[index][:, None]
        case Theirs(index):
            return theirs[index][None]
        case Constant(values):
            return jnp.asarray(values.array.reshape(1, 1, -1, 1))
        case Affine(matrices, offset):
            total: Array = jnp.asarray(offset.array.reshape(1, 1, -1, 1))
            for matrix, operand in zip(matrices, operands, strict=True):
                total = total + affine(matrix, operand)
            return total
        case Product(keyword, form):
            left, right = (body[o].shape for o in node.operands)
            return product(keyword, form, operands[0], operands[1], (left, right))
        case Local():
            return local(node.op, operands)
        case Source() | Reads() | Structural():
            raise InternalError(f"{type(node.op).__name__.lower()} inside a read", node.span)
        case other:
            assert_never(other)
