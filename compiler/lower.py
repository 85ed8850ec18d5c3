"""Lowering: the graph's values become forms over atoms, and its operations tasks that make atoms.

See tasks.py for the two. What the graph says by structure becomes arithmetic here:

    merge {a at K, b at L}   the sum of a and b, each made zero elsewhere
    repeat                   a state atom; each pass adds (result − what was) to it, so it is updated in place
    scan over K              the same, and at the head of a pass every K token takes the state of the K token before it
    a constant               a linear function of the role flags; a state that starts from one has it from the embedding
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .calibrate import Ranges
from .constructions import Choice, curve_in, squares_in
from .demand import demanded, held
from .errors import CompileError
from .format_graph import labels_of
from .graph import (
    Affine,
    Block,
    Carried,
    Constant,
    Count,
    Divide,
    Field,
    Function,
    Gather,
    Graph,
    Kinds,
    Loop,
    Merge,
    Move,
    Node,
    Product,
    Read,
    Softmax,
    Value,
)  # fmt: skip
from .sparse import Floats, Matrix
from .tasks import (
    ROLES,
    Apply,
    Atom,
    AtomInfo,
    Ball,
    Copy,
    Form,
    Linear,
    LoopTask,
    Mean,
    Multiply,
    Quotient,
    Relation,
    State,
    Task,
    Tasks,
    Variable,
)  # fmt: skip
from .tasks import Block as TaskBlock
from .tokens import role_kinds, roles


def lower(graph: Graph, ranges: Ranges, target: str, choice: Choice | None = None) -> Tasks:
    """`choice`: what products and functions are built from, where not by default.

    Raises CompileError for an operation that the target has no construction for."""
    return _Lowering(graph, ranges, target, choice or {}).run()


SMALLEST = 1e-15
"""Factors that stay below this count as no smaller: their reciprocal is a weight."""


FLOOR = "add a floor to it, or declare the ranges of the fields"


def _reach(low: float, high: float, what: str = "this") -> str:
    return f"{what} reaches from {low:.4g} to {high:.4g} on the calibration data"


def _resolvable(ball: Ball) -> Ball:
    return replace(ball, radius=np.where(ball.radius > 0, np.maximum(ball.radius, SMALLEST), 0.0))


@dataclass
class _Lowering:
    graph: Graph
    ranges: Ranges
    target: str
    choice: Choice
    atoms: list[AtomInfo] = field(default_factory=list)
    forms: dict[Value, Form] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)
    fields: dict[str, Atom] = field(default_factory=dict)
    counts: dict[str, Atom] = field(default_factory=dict)
    loops: int = 0

    def run(self) -> Tasks:
        signature = self.graph.signature
        assert signature is not None
        self.roles = roles(signature.pattern)
        self.role_kinds: tuple[str | None, ...] = role_kinds(signature.pattern)
        self.need = demanded(self.graph)
        self.labels = labels_of(self.graph)
        self.held = held(self.graph, self.need)
        count = len(self.roles)
        self.atoms.append(
            AtomInfo("roles", count, frozenset(signature.pattern.kinds), np.zeros(count), np.ones(count), True)
        )
        block = self._block(self.graph.block, -1)
        (result,) = self.graph.results
        return Tasks(tuple(self.atoms), block, self.forms[result], tuple(self.variables), self.fields, self.counts)

    # Pieces -------------------------------------------------------------------------------------

    def _atom(self, label: str, size: int, kinds: Kinds, low: Floats, high: Floats, embedded: bool = False) -> Atom:
        self.atoms.append(AtomInfo(label, size, kinds, np.minimum(low, 0.0), np.maximum(high, 0.0), embedded))
        return len(self.atoms) - 1

    def _constant(self, values: Floats, kinds: Kinds) -> Form:
        columns = [i for i, kind in enumerate(self.role_kinds) if kind in kinds]
        size = values.size
        rows = np.repeat(np.arange(size), len(columns))
        matrix = Matrix.of(
            rows, np.tile(columns, size), np.repeat(values.ravel(), len(columns)), (size, len(self.roles))
        )
        return Form.of(size, [(ROLES, matrix)])

    def _rested(self, form: Form, tasks: list[Task | LoopTask]) -> Form:
        """The form, zero at the rest token, which holds the starts of scans."""
        if not any(self.atoms[a].rests for a in form.atoms):
            return form
        kinds = frozenset().union(*(self.atoms[a].kinds for a in form.atoms))
        bound = sum((np.abs(m.csr) @ self.atoms[a].magnitude for a, m in form.parts), np.zeros(form.size))
        atom = self._atom("gate", form.size, kinds, -bound, bound)
        tasks.append(Task(Linear(), (form,), atom, kinds))
        return Form.of(form.size, [(atom, Matrix.identity(form.size))])

    def _restrict(self, form: Form, kinds: Kinds) -> tuple[Form, bool]:
        """The form with its constant part at `kinds` only, and whether its other parts are zero elsewhere already."""
        constant = form.part(ROLES)
        parts = [(a, m) for a, m in form.parts if a != ROLES]
        if constant is not None:
            keep = np.array([1.0 if kind in kinds else 0.0 for kind in self.role_kinds])
            parts.append((ROLES, Matrix(constant.csr.multiply(keep[None, :]))))
        return Form.of(form.size, parts), all(self.atoms[a].kinds <= kinds for a in form.atoms)

    def _refuse(self, node: Node, message: str, hint: str | None = None) -> CompileError:
        assert self.graph.signature is not None
        return self.graph.signature.refusal(f"target {self.target} {message}", node.span, hint)

    # Blocks -------------------------------------------------------------------------------------

    def _block(self, block: Block, scope: int) -> TaskBlock:
        tasks: list[Task | LoopTask] = []
        for item in block:
            if isinstance(item, Loop):
                self._loop(item, tasks, scope)
            else:
                self.forms[item] = self._value(item, self.graph[item], tasks)
                self._name(item, scope)
        return tuple(tasks)

    def _name(self, value: Value, scope: int) -> None:
        node = self.graph[value]
        if node.name is not None:
            low, high = self.ranges[value]
            self.variables.append(
                Variable(node.name, node.shape, self.held[value], self.forms[value], low, high, scope)
            )

    def _value(self, value: Value, node: Node, tasks: list[Task | LoopTask]) -> Form:
        reads = [self.forms[o] for o in node.operands]
        kinds = node.kinds & self.need[value]
        low, high = self.ranges[value]

        def make(op: Copy | Mean | Multiply | Apply | Quotient, *sources: Form) -> Form:
            at = kinds
            if isinstance(op, Copy | Mean | Quotient):  # an empty read rests on the first token, which must hold 0
                sources = (self._rested(sources[0], tasks), *sources[1:])
            atom = self._atom(self.labels[value], node.size, at, low, high)
            tasks.append(Task(op, sources, atom, at, node.span, value))
            return Form.of(node.size, [(atom, Matrix.identity(node.size))])

        match node.op:
            case Field(name):
                atom = self.fields[name] = self._atom(name, node.size, node.kinds, low, high, embedded=True)
                return Form.of(node.size, [(atom, Matrix.identity(node.size))])
            case Count(kind):
                atom = self.counts[kind] = self._atom(f"count {kind}", 1, node.kinds, low, high, embedded=True)
                return Form.of(1, [(atom, Matrix.identity(1))])
            case Constant(values):
                return self._constant(values.array, node.kinds)
            case Affine(matrices, offset):
                total = Form(node.size, ())
                for matrix, read in zip(matrices, reads, strict=True):
                    total = total.plus(read.through(matrix))
                return total.plus(self._constant(offset.array, node.kinds))
            case Merge(parts):
                total = Form(node.size, ())
                for operand, read, at in zip(node.operands, reads, parts, strict=True):
                    form, closed = self._restrict(read, at)
                    if not closed:
                        atom = self._atom(self.labels[value], node.size, at, *self.ranges[operand])
                        tasks.append(Task(Linear(), (form,), atom, at, node.span))
                        form = Form.of(node.size, [(atom, Matrix.identity(node.size))])
                    total = total.plus(form)
                return total
            case Move(first):
                relation = Relation("previous") if first is None else Relation("first", first)
                return make(Copy(relation), reads[0])
            case Gather(_, over):
                return make(Mean(over), reads[0])
            case Product(_, form):
                left, right = (_resolvable(self.ranges.ball(o)) for o in node.operands)
                return make(Multiply(form, left, right, squares_in(self.choice, value)), *reads)
            case Function(name, arguments):
                apply = self._applied(node, name, arguments)
                return make(replace(apply, tolerance=curve_in(self.choice, value)), *reads)
            case Divide():
                return make(self._quotient(node), *reads)
            case Softmax():
                raise self._refuse(node, "has no construction for softmax over components yet")
            case Read(how, _, _, _):
                raise self._refuse(node, f"has no construction for a {how} read with a score of its own yet")
            case _:
                raise AssertionError(node)

    def _applied(self, node: Node, name: str, arguments: tuple[float, ...]) -> Apply:
        low, high = self.ranges[node.operands[0]]
        if (name == "log" and low.min() <= 0.0) or (name == "sqrt" and low.min() < 0.0):
            numbers = "positive numbers" if name == "log" else "numbers that are not negative"
            raise self._refuse(node, f"takes {name} of {numbers} only; {_reach(low.min(), high.max())}", FLOOR)
        return Apply(name, arguments, low, high)

    def _quotient(self, node: Node) -> Quotient:
        divisor = node.operands[1]
        if self.graph[divisor].size != 1:
            raise self._refuse(node, "divides by one number a token; this divisor has several components")
        low, high = (float(b[0]) for b in self.ranges.tight(divisor))
        if low <= 0.0 <= high:
            raise self._refuse(
                node, f"divides by a number of one sign only; {_reach(low, high, 'this divisor')}", FLOOR
            )
        return Quotient(low, high)

    # Loops --------------------------------------------------------------------------------------

    def _loop(self, loop: Loop, tasks: list[Task | LoopTask], scope: int) -> None:
        number = self.loops
        self.loops += 1
        atoms: list[Atom] = []
        kinds: Kinds = frozenset()
        for c in loop.carried:
            at = frozenset({loop.kind}) if loop.kind is not None else self.need[c.phi] | self.need[c.final]
            kinds |= at
            atoms.append(self._state(c, loop.kind, at, scope, tasks))
            self._name(c.phi, number)
        body = self._block(loop.body, number)
        states = []
        for c, atom in zip(loop.carried, atoms, strict=True):
            was = Form.of(self.atoms[atom].size, [(atom, Matrix.identity(self.atoms[atom].size))])
            states.append(State(atom, self._restrict(self.forms[c.result].plus(was, -1.0), self.atoms[atom].kinds)[0]))
        carry = Relation("before", loop.kind) if loop.kind is not None else None
        tasks.append(LoopTask(loop.count, tuple(states), carry, kinds, body))
        for c, atom in zip(loop.carried, atoms, strict=True):
            own = Form.of(self.atoms[atom].size, [(atom, Matrix.identity(self.atoms[atom].size))])
            self.forms[c.final] = own if loop.kind is None else self._spread(c, atom, own, loop.kind, tasks)
            self._name(c.final, scope)

    def _state(self, c: Carried, kind: str | None, at: Kinds, scope: int, tasks: list[Task | LoopTask]) -> Atom:
        """The state's atom and its start: what of it is constant from the embedding, the rest by a task."""
        phi, initial = self.graph[c.phi], self.forms[c.initial]
        low = np.minimum(self.ranges[c.phi][0], self.ranges[c.result][0])
        high = np.maximum(self.ranges[c.phi][1], self.ranges[c.result][1])
        atom = self._atom(self.labels[c.phi], phi.size, at, low, high)
        self.forms[c.phi] = Form.of(phi.size, [(atom, Matrix.identity(phi.size))])
        if kind is not None:
            everywhere = self._uniform(c.initial)
            if everywhere is None:
                first = self._copied(self._rested(initial, tasks), Relation("own_first", kind), at, c.initial, tasks)
                self.forms[c.phi] = self.forms[c.phi].plus(first)
            elif np.any(everywhere):
                self._begin(
                    atom, Matrix.of(np.arange(phi.size), np.zeros(phi.size), everywhere, (phi.size, len(self.roles)))
                )
            return atom
        start = self._restrict(initial, at)[0]
        constant = start.part(ROLES)
        if constant is not None and scope < 0:
            self._begin(atom, constant)
            start = start.without(ROLES)
        if start.parts:
            tasks.append(Task(Linear(), (start,), atom, at, phi.span))
        return atom

    def _begin(self, atom: Atom, start: Matrix) -> None:
        self.atoms[atom] = replace(self.atoms[atom], start=start, rests=bool(start.csr[:, [0]].nnz))

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

    def _spread(self, c: Carried, atom: Atom, own: Form, kind: str, tasks: list[Task | LoopTask]) -> Form:
        """After a scan: K tokens hold their own state, the others that of the last K token before them, or their own
        start."""
        others = (self.graph[c.final].kinds & self.need[c.final]) - {kind}
        if not others:
            return own
        if self.atoms[atom].rests:  # the rest token is not 0 then: every token must look where it should
            total = self._copied(own, Relation("latest", kind), self.atoms[ROLES].kinds, c.final, tasks)
            (copy,) = total.atoms
            self.atoms[copy] = replace(self.atoms[copy], rests=True)
            return total
        total = own.plus(self._copied(own, Relation("latest", kind), others, c.final, tasks))
        if self._uniform(c.initial) is None:
            initial = self._rested(self.forms[c.initial], tasks)
            total = total.plus(self._copied(initial, Relation("own_none", kind), others, c.initial, tasks))
        return total

    def _copied(self, form: Form, relation: Relation, at: Kinds, like: Value, tasks: list[Task | LoopTask]) -> Form:
        atom = self._atom(self.labels[like], form.size, at, *self.ranges[like])
        tasks.append(Task(Copy(relation), (form,), atom, at, self.graph[like].span))
        return Form.of(form.size, [(atom, Matrix.identity(form.size))])
