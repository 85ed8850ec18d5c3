"""Lowering: the graph's values become forms over atoms, and its operations instructions that make atoms.

See instructions.py for the two. What the graph says by structure becomes arithmetic here:

    merge {a at K, b at L}   the sum of a and b, each made zero elsewhere
    repeat                   a state atom; each pass adds (result − what was) to it, so it is updated in place
    scan over K              the same, and at the head of a pass every K token takes the state of the K token before it
    a constant               a linear function of the role flags; a state that starts from one has it from the embedding
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import InternalError
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..architectures.relation import Relation
from ..architectures.targets import Rotary, Target
from ..interpreter.calibrate import Ranges
from ..ir.graph import (
    Affine,
    Attend,
    Block,
    Carried,
    Constant,
    Delta,
    Divide,
    Field,
    Function,
    Gather,
    Graph,
    Keep,
    Loop,
    Merge,
    Move,
    Node,
    Product,
    Read,
    Softmax,
    Value,
)
from ..ir.operation_classes import Positional, Structural
from ..ir.positional import Count, PositionalOp
from ..ir.printer import labels_of
from ..transforms.algebra.codes import codes
from .arguments import applied, no_place, quotient
from .constructions import Choice, curve_in, squares_in
from .demand_analysis import demanded, held
from .instructions import (
    ROLES,
    Apply,
    Atom,
    AttendHead,
    Copy,
    Instruction,
    InstructionLoop,
    Instructions,
    Linear,
    LinearForm,
    Mean,
    Multiply,
    Quotient,
    State,
    SwitchHead,
    Variable,
)
from .instructions import Block as InstructionBlock
from .lower_forms import resolvable
from .lower_heads import HeadBuilder
from .settled import scattered


def lower(
    graph: Graph, ranges: Ranges, target: Target, choice: Choice | None = None, dtype: Dtype | None = None
) -> Instructions:
    """`choice`: what products and functions are built from, where not by default; `dtype`: the weights' precision; None
    where ranges are made up, and what rounds is not asked.

    Raises CompileError for an operation that the target has no construction for."""
    need = demanded(graph)
    return _Lowering(graph, ranges, target, need, labels_of(graph), choice=choice or {}, dtype=dtype).run()


@dataclass
class _Lowering(HeadBuilder):
    choice: Choice = field(default_factory=dict)
    dtype: Dtype | None = None
    counts: dict[PositionalOp, Atom] = field(default_factory=dict)
    loops: int = 0

    def run(self) -> Instructions:
        self.held = held(self.graph, self.need)
        self.codes = {} if self.target.gated else codes(self.graph, self.dtype)
        block = self._block(self.graph.block, -1)
        output = LinearForm.stacked([self.forms[value] for value in self.graph.results])
        named = tuple(v for v in self.values if self.graph[v.value].name is not None)
        return Instructions(
            self.target, tuple(self.atoms), block, output, tuple(self.values), named, self.fields,
            self.counts, self.log_counts, self.unread,
        )  # fmt: skip

    # Blocks -------------------------------------------------------------------------------------

    def _block(self, block: Block, scope: int) -> InstructionBlock:
        instructions: list[Instruction | InstructionLoop] = []
        for item in block:
            if isinstance(item, Loop):
                self._loop(item, instructions, scope)
            else:
                self.forms[item] = self._value(item, self.graph[item], instructions)
                self._name(item, scope)
        return tuple(instructions)

    def _name(self, value: Value, scope: int) -> None:
        node, (low, high) = self.graph[value], self.ranges[value]
        name = self.labels[value] if node.name is None else node.name
        self.values.append(Variable(name, node.shape, self.held[value], self.forms[value], low, high, scope, value))

    def _value(self, value: Value, node: Node, instructions: list[Instruction | InstructionLoop]) -> LinearForm:
        reads = [self.forms[o] for o in node.operands]
        kinds = node.kinds & self.need[value]
        low, high = self.ranges[value]

        if self.target.mlp is None and isinstance(node.op, Product | Function | Divide | Softmax):
            raise no_place(node, self._refuse)

        def make(op: Copy | Mean | Multiply | Apply | Quotient | SwitchHead, *sources: LinearForm) -> LinearForm:
            if isinstance(op, Copy | Mean | Quotient | SwitchHead):
                # an empty read rests on the first token, which must hold 0
                sources = (self._rested(sources[0], instructions), *sources[1:])
            atom = self._atom(self.labels[value], node.size, kinds, low, high)
            instructions.append(Instruction(op, sources, atom, kinds, node.span, value))
            return self._own(atom)

        match node.op:
            case Field(name):
                atom = self.fields[name] = self._atom(name, node.size, node.kinds, low, high, embedded=True)
                return self._own(atom)
            case Count(kind, none) if none and isinstance(self.target.positions, Rotary):
                return self._none(kind, value, instructions)
            case Positional():
                label = node.op.label
                atom = self.counts[node.op] = self._atom(label, node.size, node.kinds, low, high, embedded=True)
                return self._own(atom)
            case Constant(values):
                return self._constant(values.array, node.kinds)
            case Affine(matrices, offset):
                total = LinearForm(node.size, ())
                for matrix, read in zip(matrices, reads, strict=True):
                    total = total.plus(read.through(matrix))
                return total.plus(self._constant(offset.array, node.kinds))
            case Merge(parts):
                total = LinearForm(node.size, ())
                for operand, read, at in zip(node.operands, reads, parts, strict=True):
                    form, closed = self._restrict(read, at)
                    if not closed:
                        self._needs_gate(node)
                        atom = self._atom(self.labels[value], node.size, at, *self.ranges[operand])
                        instructions.append(Instruction(Linear(), (form,), atom, at, node.span))
                        form = self._own(atom)
                    total = total.plus(form)
                return total
            case Move(source, kind, back):
                name = "before" if source == "previous" and kind is not None else source
                return make(Copy(Relation(name, kind, back)), reads[0])
            case Gather(how, over) if self.target.linear:
                mine, theirs = (self._constant(np.ones(1), at) for at in (node.kinds, frozenset({over})))
                return self._attend(value, AttendHead(how, over, 1.0), (mine, theirs, reads[0]), kinds, instructions)
            case Gather(how, over):
                return make(Mean(over, how == "sum"), reads[0])
            case Attend(how, over, rest):
                op = AttendHead(how, over, self.ranges.reach(value), rest)
                return self._attend(value, op, (reads[0], reads[1], reads[2]), kinds, instructions)
            case Delta():
                return self._delta(value, node.op, reads, kinds, instructions)
            case Product(_, form):
                left, right = (resolvable(self.ranges.ball(o)) for o in node.operands)
                code = self.codes.get(value)
                if code is not None:
                    reads[code] = self._unlike(reads[code], kinds)
                return make(Multiply(form, left, right, squares_in(self.choice, value), code), *reads)
            case Function():
                apply = replace(applied(node, self.ranges, self._refuse), tolerance=curve_in(self.choice, value))
                if self.dtype and scattered(apply, reads[0], self.atoms, self.dtype, self.target.activation):
                    return make(apply, self._settled(node.operands[0], apply, kinds, instructions))
                return make(apply, *reads)
            case Keep(strict, which):
                decides = node.operands[0]
                reach = tuple(np.abs(self.ranges[decides]).max(axis=0).tolist())
                return make(SwitchHead(strict, which, reach, decides in self.ranges.ties), reads[1], reads[0])
            case Divide():
                return make(quotient(node, self.ranges, self._refuse), *reads)
            case Softmax() | Read() | Structural():
                raise InternalError(f"lower: no pass has taken away {type(node.op).__name__.lower()}", node.span)
            case other:
                assert_never(other)

    def _settled(
        self, value: Value, apply: Apply, kinds: Kinds, instructions: list[Instruction | InstructionLoop]
    ) -> LinearForm:
        """The value in slots of its own, for the function that is taken of it."""
        node = self.graph[value]
        atom = self._atom(self.labels[value], node.size, kinds, apply.low, apply.high)
        instructions.append(Instruction(Linear(settles=True), (self.forms[value],), atom, kinds, node.span, value))
        return self._own(atom)

    # Loops --------------------------------------------------------------------------------------

    def _loop(self, loop: Loop, instructions: list[Instruction | InstructionLoop], scope: int) -> None:
        number = self.loops
        self.loops += 1
        if loop.kind is not None and self.target.linear:
            hint = "its heads only add to what a token holds: let a `repeat` do that, over all tokens at once"
            raise self._refuse(replace(self.graph[loop.carried[0].phi], span=loop.span), "has no scan", hint)
        atoms: list[Atom] = []
        kinds: Kinds = frozenset()
        for c in loop.carried:
            at = frozenset({loop.kind}) if loop.kind is not None else self.need[c.phi] | self.need[c.final]
            kinds |= at
            atoms.append(self._state(c, loop, at, scope, instructions))
            self._name(c.phi, number)
        body = self._block(loop.body, number)
        states = []
        for c, atom in zip(loop.carried, atoms, strict=True):
            change = self.forms[c.result].plus(self._own(atom), -1.0)
            if not all(self.atoms[a].kinds <= self.atoms[atom].kinds for a in change.atoms):
                self._needs_gate(self.graph[c.result])
            states.append(State(atom, self._restrict(change, self.atoms[atom].kinds)[0]))
        carry = Relation("after" if loop.backwards else "before", loop.kind) if loop.kind is not None else None
        instructions.append(InstructionLoop(loop.passes, tuple(states), carry, kinds, body))
        for c, atom in zip(loop.carried, atoms, strict=True):
            own = self._own(atom)
            alone = loop.kind is None or loop.backwards
            self.forms[c.final] = own if alone else self._spread(c, atom, own, loop.kind or "", instructions)
            self._name(c.final, scope)

    def _state(
        self, c: Carried, loop: Loop, at: Kinds, scope: int, instructions: list[Instruction | InstructionLoop]
    ) -> Atom:
        """The state's atom and its start: what of it is constant from the embedding, the rest by an instruction."""
        phi, start, kind = self.graph[c.phi], self.forms[c.initial], loop.kind
        low = np.minimum(self.ranges[c.phi][0], self.ranges[c.result][0])
        high = np.maximum(self.ranges[c.phi][1], self.ranges[c.result][1])
        if c.warm is not None:
            low, high = np.minimum(low, self.ranges[c.warm][0]), np.maximum(high, self.ranges[c.warm][1])
        atom = self._atom(self.labels[c.phi], phi.size, at, low, high)
        self.forms[c.phi] = self._own(atom)
        if kind is not None:
            everywhere = None if loop.backwards else self._uniform(c.initial)
            if everywhere is None:
                whose = Relation("own_last" if loop.backwards else "own_first", kind)
                first = self._alone(self._rested(start, instructions), whose, at, c.initial, instructions)
                self.forms[c.phi] = self.forms[c.phi].plus(first)
                return atom
            rest = Matrix.of(np.arange(phi.size), np.zeros(phi.size), everywhere, (phi.size, len(self.roles)))
            start = LinearForm.of(phi.size, [(ROLES, rest)])
            if c.warm is not None:
                start = start.plus(self._restrict(self.forms[c.warm], at)[0])
        else:
            start = self._restrict(start, at)[0]
        given = {ROLES, *(a for a in self.fields.values() if self.atoms[a].kinds <= at)}
        if (scope < 0 or kind is not None) and not given.isdisjoint(a for a, _ in start.parts):
            self._begin(atom, LinearForm(start.size, tuple(p for p in start.parts if p[0] in given)))
            start = start.without(*given)
        if start.parts:
            self._needs_gate(phi)
            instructions.append(Instruction(Linear(), (start,), atom, at, phi.span))
        return atom
