"""What no sublayer does directly, in terms of what one does.

sum over K of v      count of K · mean over K of v      where positions are learned, and so can count
sum over K of c      c · count of K                     the same of a constant, which is exact
                     Σⱼ exp(0) vⱼ                       where they cannot, and no other strategy does without
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.sparse import Matrix

from ..architectures.learned_positions import SAMPLE, counts
from ..architectures.targets import Rotary, Target
from ..ir.bilinear import Bilinear
from ..ir.graph import Attend, Constant, Gather, Graph, Node, Value
from ..ir.positional import Count
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, rebuild


def legalise(graph: Graph, target: Target, laws: Laws = ALL_LAWS, weighed: bool = False) -> Graph:
    """`weighed`: sums whose number of terms no token knows become heads that weigh all alike (exponential_sums.py);
    else they raise CompileError."""
    signature, refused = graph.signature, f"target {target.name} cannot sum over"

    if isinstance(target.positions, Rotary):
        return graph  # its heads sum

    def visit(r: Rewriter, _: Value, node: Node) -> Value:
        if not isinstance(node.op, Gather) or node.op.how != "sum":
            return r.node(node)
        over = node.op.over
        counted = not signature.pattern.visible_context and counts(signature.pattern, over, SAMPLE) is not None
        if weighed and not counted:
            score = [r.affine([], (1,), kinds) for kinds in (node.kinds, frozenset({over}))]
            operands = (*score, *node.operands)
            return r.node(Node(Attend("exp", over), operands, node.shape, node.kinds, node.name, node.span))
        if signature.pattern.visible_context:
            message = f"{refused} tokens under `visible context`: no token knows how many there are"
            raise signature.refusal(message, node.span, "use `mean`")
        if not counted:
            message = f"{refused} `{over}`: no table of positions and kinds says how many a token sees"
            raise signature.refusal(message, node.span, "use `mean`")
        counting = Node(Count(over), (), (), frozenset(signature.pattern.kinds))
        each = r[node.operands[0]]
        if isinstance(each.op, Constant) and over in each.kinds:
            column = np.asarray(each.op.values.array).reshape(-1, 1)
            terms = [(Matrix(column), r.node(counting))]
            return r.affine(terms, node.shape, node.kinds, 0.0, node.name, node.span)
        mean = r.node(Node(Gather("mean", over), node.operands, node.shape, node.kinds, None, node.span))
        count = r.node(counting)
        ones = Matrix.of(range(node.size), [0] * node.size, 1.0, (node.size, 1))
        stretched = r.affine([(ones, count)], (node.size,), node.kinds)
        product = r.product(Bilinear.mul(node.size), stretched, mean, node.kinds, "mul", node.span)
        return r.affine([(Matrix.identity(node.size), product)], node.shape, node.kinds, 0.0, node.name, node.span)

    return rebuild(graph, visit, laws)
