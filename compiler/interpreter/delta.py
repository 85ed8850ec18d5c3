"""What `Delta` means: the tokens of a sequence write a matrix by the delta rule, each after the one before it.

before   its operands, wherever they live
after    what every token reads [tasks, tokens, size]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.reference.delta_rule import Lose, delta_rule, divided

from ..ir.graph import Delta, Node, Value


def written(
    node: Node, op: Delta, held: Callable[[Value, Indices], Floats], kinds: Sequence[str]
) -> tuple[Floats, ...]:
    """Query and key [tasks, tokens, n], value [tasks, tokens, m], rate and what is forgotten [tasks, tokens], 0 at
    tokens that do not write, at all tokens of a sequence of these kinds. `held`: a value at some tokens, 0 where it
    does not live, and at −1."""
    tokens = np.arange(len(kinds))
    back = (0, *op.back, 0, 0)
    given = [held(o, np.maximum(tokens - back[k], -1)) for k, o in enumerate(node.operands)]
    writes = np.array([kind in op.over for kind in kinds], np.float64)
    rate, forgotten = (writes * gate[..., 0] for gate in given[3:])
    return given[0], given[1], given[2], divided(rate, given[1], *op.divisor), forgotten


def recalled(op: Delta, given: Sequence[Floats], lose: Lose | None = None) -> Floats:
    """What every token reads, of what `written` gave."""
    query, key, value, rate, forgotten = given
    return np.asarray(delta_rule(query, key, value, rate, forgotten, op.start.array, lose))
