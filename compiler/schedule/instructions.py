"""What sublayers do: the graph without its affine maps, which are folded into what reads them.

    before (graph)                     after (instructions over atoms)
    e = y − dot(w, u)                  p = multiply w, u
    g = e · u                          g = multiply (y − p), u       y − p is a form: read by weights, stored nowhere

An *atom* is a value that some sublayer writes to the residual stream, or that the input embedding
puts there. A *form* is a linear function of atoms; constants are linear in the roles, the one-hot
code of what a token is. An instruction reads forms and makes one atom, which is zero at every token whose
kind is not among the instruction's; so a merge of values that live on different kinds is their sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.signature import Kinds
from innerloop.artifact.span import Span
from innerloop.artifact.sparse import Matrix, Values

from ..architectures.relation import Relation
from ..architectures.targets import Target
from ..interpreter.ball import Ball
from ..ir.bilinear import Bilinear
from ..ir.graph import Value
from ..ir.positional import PositionalOp
from ..numerics.square_banks import Squares

Atom = int
ROLES: Atom = 0
"""The atom that holds a token's role, one-hot (the rest token's too)."""


@dataclass(frozen=True)
class AtomInfo:
    """`low`, `high` [size] bound it on the calibration data; `kinds` is where it can be other than zero."""

    label: str
    size: int
    kinds: Kinds
    low: Floats
    high: Floats
    embedded: bool = False
    """Whether the input embedding (or the position table) writes it."""
    start: LinearForm | None = None
    """Of the roles and fields: what a loop's state starts from, if the embedding can write it. A scan's is held by the
    rest token, where the first token of the scan finds it as the state of the one before."""
    rests: bool = False
    """Whether the rest token holds some of it, and so is not 0 for the heads that look there for nothing."""

    @property
    def magnitude(self) -> Floats:
        return np.maximum(np.abs(self.low), np.abs(self.high))


@dataclass(frozen=True)
class LinearForm:
    """Σ matrix @ atom."""

    size: int
    parts: tuple[tuple[Atom, Matrix], ...]

    @staticmethod
    def of(size: int, parts: Iterable[tuple[Atom, Matrix]]) -> LinearForm:
        total: dict[Atom, Matrix] = {}
        for atom, matrix in parts:
            total[atom] = total[atom] + matrix if atom in total else matrix
        return LinearForm(size, tuple((a, m) for a, m in sorted(total.items(), key=lambda p: p[0]) if m.nnz))

    @staticmethod
    def stacked(forms: Sequence[LinearForm]) -> LinearForm:
        """Their components, one form's after the other's."""
        size, parts, start = sum(form.size for form in forms), list[tuple[Atom, Matrix]](), 0
        for form in forms:
            own = np.arange(form.size)
            place = Matrix.of(start + own, own, np.ones(form.size), (size, form.size))
            parts += ((atom, place @ matrix) for atom, matrix in form.parts)
            start += form.size
        return LinearForm.of(size, parts)

    @property
    def atoms(self) -> frozenset[Atom]:
        """The atoms that some sublayer has to make first."""
        return frozenset(a for a, _ in self.parts if a != ROLES)

    def through(self, matrix: Matrix) -> LinearForm:
        return LinearForm.of(matrix.shape[0], [(a, matrix @ m) for a, m in self.parts])

    def plus(self, other: LinearForm, scale: float = 1.0) -> LinearForm:
        return LinearForm.of(self.size, [*self.parts, *((a, m * scale) for a, m in other.parts)])

    def without(self, *atoms: Atom) -> LinearForm:
        return LinearForm(self.size, tuple((a, m) for a, m in self.parts if a not in atoms))

    def part(self, atom: Atom) -> Matrix | None:
        return next((m for a, m in self.parts if a == atom), None)


# Instructions -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Copy:
    relation: Relation


@dataclass(frozen=True)
class Mean:
    over: str
    sums: bool = False
    """Whether it is the sum instead."""


@dataclass(frozen=True)
class AttendHead:
    """mean or sum over the `over` tokens of (reads[0] · theirs of reads[1]) theirs of reads[2]; `reach` bounds
    |reads[0] · reads[1]|. A mean on softmax heads reads the log of their number, too (reads[3]). Or `softmax`: the mean
    of reads[2] weighted by exp(reads[0] · theirs of reads[1]); `reach` then holds for all pairs of tokens;
    or `exp`: their sum, for products of up to `reach`. `rest`: the rest token's logit where it has a share."""

    how: str
    over: str
    reach: float
    rest: float | None = None


@dataclass(frozen=True)
class DeltaHead:
    """reads[0] applied to the matrix that tokens of `over` write with reads[1:], key, value, rate and what is forgotten
    (graph.py)."""

    over: Kinds
    start: Values
    divisor: tuple[float, float]
    back: tuple[int, int]


@dataclass(frozen=True)
class Multiply:
    """A bilinear map of two operands, whose components lie within a radius of a centre. `squares`: what it is built
    from, if not by default. `code`: which operand is 0 or 1 in each component, if one is; of it 1 less is read, by
    which neurons are closed."""

    form: Bilinear
    left: Ball
    right: Ball
    squares: Squares | None = None
    code: int | None = None


@dataclass(frozen=True)
class Apply:
    """A function of one operand with components in [low, high]. `tolerance`: of its curve, if not the default."""

    name: str
    arguments: tuple[float, ...]
    low: Floats
    high: Floats
    tolerance: float | None = None


@dataclass(frozen=True)
class Quotient:
    """reads[0] / reads[1]; the divisor, a scalar, lies in [low, high], which does not hold 0. `again`: see graph.py."""

    low: float
    high: float
    again: bool = False


@dataclass(frozen=True)
class SwitchHead:
    """Component o of reads[0] where component which[o] of reads[1] is positive (graph.py), and else 0; `reach` bounds
    those, and `tied` says whether the sample holds a 0 of them."""

    strict: bool
    which: tuple[int, ...]
    reach: tuple[float, ...]
    tied: bool


@dataclass(frozen=True)
class Linear:
    """reads[0], at the instruction's kinds only; an attention head that reads its own token, or pairs of neurons.
    `settles`: whether it is there to be rounded once, for a curve whose neurons would each round it (settled.py)."""

    settles: bool = False


Operation = Copy | Mean | AttendHead | DeltaHead | Multiply | Apply | Quotient | SwitchHead | Linear


class Whose(Enum):
    """Tokens that an operation reads, other than those of one kind."""

    OWN = "the reader itself"
    ANY = "tokens of all kinds"


def tokens_read(op: Operation, index: int) -> Kinds | Whose:
    """At which tokens operand `index` is read; who finds none there reads the rest token."""
    match op:
        case Multiply() | Apply() | Quotient() | SwitchHead() | Linear():
            return Whose.OWN
        case Copy(relation):
            if relation.name.startswith("own"):
                return Whose.OWN
            return Whose.ANY if relation.kind is None else frozenset({relation.kind})
        case Mean(over):
            return frozenset({over})
        case DeltaHead(over, _, _, back):
            return Whose.OWN if index == 0 else Whose.ANY if index < 3 and back[index - 1] else over
        case AttendHead(_, over):
            return frozenset({over}) if index in (1, 2) else Whose.OWN


@dataclass(frozen=True)
class Instruction:
    op: Operation
    reads: tuple[LinearForm, ...]
    out: Atom
    kinds: Kinds
    span: Span | None = None
    value: Value | None = None
    """The graph's value that it makes, if it is one."""

    @property
    def side(self) -> str:
        """The sort of sublayer that it takes."""
        match self.op:
            case Copy() | Mean() | AttendHead() | DeltaHead() | Quotient() | SwitchHead():
                return "attention"
            case Multiply() | Apply():
                return "mlp"
            case Linear():
                return "either"


@dataclass(frozen=True)
class State:
    """What a loop carries in the slots of `atom`: each pass adds `change` to it."""

    atom: Atom
    change: LinearForm


@dataclass(frozen=True)
class InstructionLoop:
    """`carry`: the relation by which a scan's states move at the head of each pass."""

    count: int
    states: tuple[State, ...]
    carry: Relation | None
    kinds: Kinds
    body: Block


Block = tuple["Instruction | InstructionLoop", ...]


@dataclass(frozen=True)
class Variable:
    """A value of the graph, as a form over atoms; `name` is the program's for it, or what `show` prints."""

    name: str
    shape: tuple[int, ...]
    kinds: Kinds
    form: LinearForm
    low: Floats
    high: Floats
    scope: int
    """The loop (numbered in order of appearance, −1 for none) in whose body the name is assigned."""
    value: Value


@dataclass(frozen=True)
class Instructions:
    """The lowered program; `log_counts`: for each kind, the log of how many of it a token sees."""

    target: Target
    atoms: tuple[AtomInfo, ...]
    block: Block
    output: LinearForm
    values: tuple[Variable, ...]
    """All values of the graph, in order; `variables`: those that have a name."""
    variables: tuple[Variable, ...]
    fields: dict[str, Atom]
    counts: dict[PositionalOp, Atom]
    log_counts: dict[str, Atom]
    unread: int
    """So many last tokens linear attention leaves out."""
