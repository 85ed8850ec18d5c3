"""What lowering is made of: atoms, and forms over them, before any operation is looked at.

constant 2 at x, y        2 · (the flags of the roles of kind x or y)
v at x only               v as it is, if it is zero elsewhere; else an instruction that closes it there
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import CompileError
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import role_kinds, roles

from ..architectures.learned_positions import SAMPLE
from ..architectures.relation import Relation
from ..architectures.rotary_positions import rotary_copy_rule
from ..architectures.targets import Learned, Target
from ..interpreter.ball import Ball
from ..interpreter.calibrate import Ranges
from ..ir.bilinear import Bilinear
from ..ir.graph import Attend, Carried, Gather, Graph, Node, Value
from .instructions import (
    ROLES,
    Atom,
    AtomInfo,
    Copy,
    Instruction,
    InstructionLoop,
    Linear,
    LinearForm,
    Mean,
    Multiply,
    Variable,
)

_OTHERS = {"own_first": "before", "own_last": "after", "own_none": "latest"}
"""Who sees a token of the kind by the second is not alone by the first."""
SMALLEST = 1e-15
"""Factors that stay below this count as no smaller: their reciprocal is a weight."""


def resolvable(ball: Ball) -> Ball:
    return replace(ball, radius=np.where(ball.radius > 0, np.maximum(ball.radius, SMALLEST), 0.0))


def unread(graph: Graph) -> int:
    """How many last tokens, those after the groups, need not be read by any."""
    suffix = graph.signature.pattern.suffix
    read = {op.over for op in (graph[v].op for v in graph.values()) if isinstance(op, Gather | Attend)}
    return 0 if read & set(suffix) else len(suffix)


@dataclass
class FormBuilder:
    """The atoms and forms so far."""

    graph: Graph
    ranges: Ranges
    target: Target
    need: dict[Value, Kinds]
    labels: dict[Value, str]
    atoms: list[AtomInfo] = field(default_factory=list)
    forms: dict[Value, LinearForm] = field(default_factory=dict)
    values: list[Variable] = field(default_factory=list)
    fields: dict[str, Atom] = field(default_factory=dict)

    def __post_init__(self) -> None:
        signature = self.graph.signature
        self.pattern = signature.pattern
        self.unread = unread(self.graph) if self.target.attention == "linear" else 0
        self.roles = roles(signature.pattern)
        self.role_kinds: tuple[str | None, ...] = role_kinds(signature.pattern)
        count = len(self.roles)
        self.atoms.append(
            AtomInfo("roles", count, frozenset(signature.pattern.kinds), np.zeros(count), np.ones(count), True)
        )

    def _atom(self, label: str, size: int, kinds: Kinds, low: Floats, high: Floats, embedded: bool = False) -> Atom:
        self.atoms.append(AtomInfo(label, size, kinds, np.minimum(low, 0.0), np.maximum(high, 0.0), embedded))
        return len(self.atoms) - 1

    def _own(self, atom: Atom) -> LinearForm:
        return LinearForm.of(self.atoms[atom].size, [(atom, Matrix.identity(self.atoms[atom].size))])

    def _constant(self, values: Floats, kinds: Kinds) -> LinearForm:
        columns = [i for i, kind in enumerate(self.role_kinds) if kind in kinds]
        size = values.size
        rows = np.repeat(np.arange(size), len(columns))
        matrix = Matrix.of(
            rows, np.tile(columns, size), np.repeat(values.ravel(), len(columns)), (size, len(self.roles))
        )
        return LinearForm.of(size, [(ROLES, matrix)])

    def _rested(self, form: LinearForm, instructions: list[Instruction | InstructionLoop]) -> LinearForm:
        """The form, zero at the rest token, which holds the starts of scans."""
        if not any(self.atoms[a].rests for a in form.atoms):
            return form
        kinds = frozenset().union(*(self.atoms[a].kinds for a in form.atoms))
        bound = sum((np.abs(m.csr) @ self.atoms[a].magnitude for a, m in form.parts), np.zeros(form.size))
        atom = self._atom("gate", form.size, kinds, -bound, bound)
        instructions.append(Instruction(Linear(), (form,), atom, kinds))
        return self._own(atom)

    def _restrict(self, form: LinearForm, kinds: Kinds) -> tuple[LinearForm, bool]:
        """The form with its constant part at `kinds` only, and whether its other parts are zero elsewhere already."""
        constant = form.part(ROLES)
        parts = [(a, m) for a, m in form.parts if a != ROLES]
        if constant is not None:
            keep = np.array([1.0 if kind in kinds else 0.0 for kind in self.role_kinds])
            parts.append((ROLES, Matrix(constant.csr.multiply(keep[None, :]))))
        return LinearForm.of(form.size, parts), all(self.atoms[a].kinds <= kinds for a in form.atoms)

    def _uniform(self, value: Value) -> Floats | None:
        """The value's components, if they are the same constants wherever it lives."""
        form = self.forms[value]
        if form.atoms:
            return None
        constant = form.part(ROLES)
        if constant is None:
            return np.zeros(form.size)
        dense = constant.csr[
            :, [i for i, kind in enumerate(self.role_kinds) if kind in self.graph[value].kinds]
        ].toarray()
        return dense[:, 0] if dense.size and not np.ptp(dense, axis=1).any() else None

    def _unlike(self, code: LinearForm, kinds: Kinds) -> LinearForm:
        """1 less a code, at tokens of `kinds`. Of one one-hot field that all of them hold, its components sum to 1:
        where the code is 1 nothing of it is then read, and nothing rounds."""
        for spec in self.graph.signature.fields:
            atom = self.fields.get(spec.name)
            if spec.onehot and atom is not None and code.atoms == {atom} and kinds <= self.atoms[atom].kinds:
                shape = (code.size, self.atoms[atom].size)
                row, column = np.indices(shape)
                each = Matrix.of(row.ravel(), column.ravel(), 1.0, shape)
                return LinearForm.of(code.size, [(atom, each)]).plus(code, -1.0)
        return self._constant(np.ones(code.size), kinds).plus(code, -1.0)

    def _most(self, form: LinearForm) -> Floats:
        """What no component of the form exceeds in magnitude, at any token."""
        total = np.zeros(form.size)
        for atom, matrix in form.parts:
            terms = abs(matrix.csr)
            total += terms.max(axis=1).toarray().ravel() if atom == ROLES else terms @ self.atoms[atom].magnitude
        return total

    def _copied(
        self,
        form: LinearForm,
        relation: Relation,
        at: Kinds,
        like: Value,
        instructions: list[Instruction | InstructionLoop],
    ) -> LinearForm:
        atom = self._atom(self.labels[like], form.size, at, *self.ranges[like])
        instructions.append(Instruction(Copy(relation), (form,), atom, at, self.graph[like].span))
        return self._own(atom)

    def _none(self, kind: str, value: Value, instructions: list[Instruction | InstructionLoop]) -> LinearForm:
        """1 at tokens that see none of that kind: what a mean over them finds at the rest token then is its flag."""
        everyone = frozenset(self.pattern.kinds)
        atom = self._atom(f"no {kind}", 1, everyone, np.zeros(1), np.ones(1))
        self.atoms[atom] = replace(self.atoms[atom], rests=True)
        flag = LinearForm.of(1, [(ROLES, Matrix.of([0], [0], 1.0, (1, len(self.roles))))])
        instructions.append(Instruction(Mean(kind), (flag,), atom, everyone, self.graph[value].span, value))
        return self._own(atom)

    def _alone(
        self,
        form: LinearForm,
        relation: Relation,
        at: Kinds,
        like: Value,
        instructions: list[Instruction | InstructionLoop],
    ) -> LinearForm:
        """The form at tokens that have no token of the relation's kind before them (`own_first`), at or before them
        (`own_none`) or after them (`own_last`), and else 0. Where distances are all that a head knows, a product with a
        flag closes it."""
        learned = isinstance(self.target.positions, Learned) and relation.name != "own_last"
        if learned or rotary_copy_rule(self.pattern, relation, at, SAMPLE) is not None:
            return self._copied(form, relation, at, like, instructions)
        assert relation.kind is not None
        sees = Relation(_OTHERS[relation.name], relation.kind)
        flag = self._constant(np.ones(1), frozenset({relation.kind}))
        seen = self._atom(f"{sees.name} {sees.kind}", 1, at, np.zeros(1), np.ones(1))
        instructions.append(Instruction(Copy(sees), (flag,), seen, at, self.graph[like].span))
        none = self._constant(np.ones(1), at).plus(self._own(seen), -1.0)
        size, (low, high) = form.size, self.ranges[like]
        atom = self._atom(self.labels[like], size, at, low, high)
        each = Bilinear(np.arange(size), np.zeros(size), np.arange(size), 1.0, size, (1, size))
        balls = Ball(np.zeros(1), np.ones(1), 1.0), Ball(np.zeros(size), np.maximum(np.abs(low), np.abs(high)), 1.0)
        instructions.append(Instruction(Multiply(each, *balls), (none, form), atom, at, self.graph[like].span))
        return self._own(atom)

    def _refuse(self, node: Node, message: str, hint: str | None = None) -> CompileError:
        return self.graph.signature.refusal(f"target {self.target.name} {message}", node.span, hint)

    def _needs_gate(self, node: Node) -> None:
        """Raises CompileError on a target that cannot copy or close what a token holds itself."""
        if self.target.linear:
            hint = "give each kind of token names of its own, assigned under `at`"
            raise self._refuse(node, "has no head that reads one token alone: this must be there from the input", hint)

    def _only(self, form: LinearForm, over: Kinds) -> bool:
        """Whether no token that is read but those of `over` holds any of it."""
        pattern = self.pattern
        unread = frozenset(pattern.suffix[len(pattern.suffix) - self.unread :]) - {*pattern.prefix, *pattern.group}
        return all(self.atoms[a].kinds <= over | unread for a in form.atoms)

    def _begin(self, atom: Atom, start: LinearForm) -> None:
        """The atom starts from what the embedding writes."""
        constant = start.part(ROLES)
        rests = constant is not None and bool(constant.csr[:, [0]].nnz)
        self.atoms[atom] = replace(self.atoms[atom], start=start, rests=rests)

    def _spread(
        self, c: Carried, atom: Atom, own: LinearForm, kind: str, instructions: list[Instruction | InstructionLoop]
    ) -> LinearForm:
        """After a scan: K tokens hold their own state, the others that of the last K token before them, or their own
        start."""
        others = (self.graph[c.final].kinds & self.need[c.final]) - {kind}
        if not others:
            return own
        if self.atoms[atom].rests:  # the rest token is not 0 then: every token must look where it should
            total = self._copied(own, Relation("latest", kind), self.atoms[ROLES].kinds, c.final, instructions)
            (copy,) = total.atoms
            self.atoms[copy] = replace(self.atoms[copy], rests=True)
            return total
        total = own.plus(self._copied(own, Relation("latest", kind), others, c.final, instructions))
        if self._uniform(c.initial) is None:
            initial = self._rested(self.forms[c.initial], instructions)
            total = total.plus(self._alone(initial, Relation("own_none", kind), others, c.initial, instructions))
        return total
