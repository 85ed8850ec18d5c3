"""Emission: the schedule and its slots become weights.

A division (after numerics in the README's design notes), with N = K · divisor on the scratch pairs:

    sublayer      norm divides by     it writes
    mlp           C                   scratch += ±N;  constants −= ±C  (its bias)
    attention     N                   every head reads value / divisor;  constants += ±C  (its bias)
    mlp           C                   scratch −= ±N, from the divisor as stored
    attention     C                   scratch −= what rounding left there

K is so large that N outweighs all else in the norm, and C so large that N does not count beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .allocate import Allocation
from .errors import CompileError, Diagnostic
from .graph import Kinds, Signature
from .heads import Heads, Pattern, scale_of
from .neurons import Neurons
from .positions import Target, counts, digits, target
from .schedule import LoopStage, Schedule, Stage
from .sparse import Floats, Matrix
from .stream import Constants, Stream, four_squares
from .syntax import Span
from .tasks import ROLES, Copy, Linear, Mean, Quotient, Relation
from .tokens import role_kinds, roles
from .weights import Attention, Body, Config, Idle, Mlp, Norm, Repeated


@dataclass(frozen=True)
class Emitted:
    """The weights' arrays, without what describes them."""

    config: Config
    embedding: Matrix
    positions: Floats
    body: Body
    final_norm: Norm
    readout: Matrix
    stream: Stream
    neurons: int
    heads: int


@dataclass
class Emitter:
    schedule: Schedule
    allocation: Allocation
    signature: Signature
    n_positions: int
    dtype: str
    name: str

    @cached_property
    def role_kinds(self) -> tuple[str | None, ...]:
        return role_kinds(self.signature.pattern)

    @cached_property
    def everyone(self) -> Kinds:
        return frozenset(self.signature.pattern.kinds)

    @cached_property
    def _hidden(self) -> tuple[int, ...]:
        """Under `visible context` attention goes both ways, and what comes after the context is hidden role by role."""
        pattern = self.signature.pattern
        count = len(self.role_kinds)
        return tuple(range(count - len(pattern.suffix), count)) if pattern.visible_context else ()

    # Relations ----------------------------------------------------------------------------------

    @cached_property
    def targets(self) -> dict[tuple[Relation, Kinds], Target]:
        found = {}
        for relation, kinds, span in self._relations():
            rule = target(self.signature.pattern, relation, kinds, self.n_positions)
            if rule is None:
                wanted, at = f"{relation.name} {relation.kind or ''}".strip(), ", ".join(sorted(kinds))
                raise self._refuse(
                    f"finds no token by `{wanted}` at {at}: neither position nor kind says where it is", span
                )
            found[relation, kinds] = rule
        return found

    def _refuse(self, message: str, span: Span | None, hint: str | None = None) -> CompileError:
        return CompileError(
            [Diagnostic(f"target {self.name} {message}", span, hint)], self.signature.text, self.signature.source
        )

    def _relations(self) -> Iterator[tuple[Relation, Kinds, Span | None]]:
        yield Relation("own"), self.everyone, None
        for stage in self.schedule.walk():
            if stage.carry:
                yield stage.carry.relation, stage.carry.kinds, None
            for placed in stage.placed:
                if isinstance(placed.task.op, Copy):
                    yield placed.task.op.relation, placed.task.kinds, placed.task.span
                elif isinstance(placed.task.op, Linear):
                    yield Relation("own"), placed.task.kinds, placed.task.span

    @cached_property
    def tables(self) -> list[tuple[Relation, Kinds]]:
        return [key for key, rule in self.targets.items() if rule.table is not None]

    def _pattern(self, relation: Relation, kinds: Kinds, sources: Kinds) -> Pattern:
        key = (relation, kinds)
        return Pattern(self.targets[key], sources, kinds, self.tables.index(key) if key in self.tables else -1)

    # The stream ---------------------------------------------------------------------------------

    @cached_property
    def divisor(self) -> tuple[float, float] | None:
        """The smallest and the largest magnitude of all divisors."""
        ops = [p.task.op for s in self.schedule.walk() for p in s.placed if isinstance(p.task.op, Quotient)]
        if not ops:
            return None
        ends = [sorted((abs(op.low), abs(op.high))) for op in ops]
        return min(e[0] for e in ends), max(e[1] for e in ends)

    def _stream(self, d_head: int, n_head: int) -> Stream | None:
        """The stream of that width, or None if the values do not fit."""
        width = d_head * n_head
        bits = digits(self.n_positions).shape[1] if self.divisor else 0
        weights = four_squares(width // 2)
        need = Stream.reserved(weights, self.divisor is not None, bits, len(self.tables)) + self.allocation.used
        if width % 2 or need > width:
            return None
        sizes = tuple(a.size for a in self.schedule.tasks.atoms)
        stream = Stream(
            width,
            Constants(weights, 1.0, float(self.divisor is not None)),
            bits,
            len(self.tables),
            self.allocation,
            sizes,
        )
        return Stream(width, self._constants(stream), bits, len(self.tables), self.allocation, sizes)

    def _constants(self, stream: Stream) -> Constants:
        """C from what else the stream can hold; with divisions K from that, and C from K."""
        bound = self._bound(stream)
        rest = float(np.sqrt(np.sum(bound**2) / stream.width))
        scale, divide = _power(float(np.sum(bound)), SWALLOW_BITS[self.dtype]), 0.0
        if self.divisor is not None:
            least, most = self.divisor
            divide = _power(rest / least, DIVIDE_BITS[self.dtype])
            scale = max(scale, _power(divide * most, CONSTANT_BITS[self.dtype]))
            if scale > LARGEST[self.dtype]:
                spans = [p.task.span for s in self.schedule.walk() for p in s.placed if isinstance(p.task.op, Quotient)]
                raise self._refuse(
                    f"cannot divide in {self.dtype} by numbers from {least:.3g} to {most:.3g} in magnitude", spans[0],
                    "add a larger floor to the divisor, scale the data, or compile in float64",
                )  # fmt: skip
        return Constants(stream.constants.weights, scale, divide)

    def _bound(self, stream: Stream) -> Floats:
        """The largest magnitude that each slot holds, the norm's own slots aside [width]."""
        bound = np.zeros(stream.width)
        for atom in self.allocation.slots:
            slots = stream.slots(atom)
            bound[slots] = np.maximum(bound[slots], self.schedule.tasks.atoms[atom].magnitude)
        bound[stream.position : stream.first] = 1.0
        bound[stream.balance] = np.sqrt(np.sum(bound**2))
        return bound

    # Emission -----------------------------------------------------------------------------------

    def emit(self) -> Emitted:
        stream, d_head = self._choose()
        n_head = stream.width // d_head
        self.stream, self.d_head, self.n_head = stream, d_head, n_head
        self.bound = self._bound(stream)
        gain = np.full(stream.width, stream.constants.scale)
        self.norm = Norm(gain, np.zeros(stream.width))
        self.neurons, self.heads, self.widest, self.number = 0, 0, 1, 0
        body = self._body(self.schedule.stages)
        config = Config(
            target=self.name,
            n_layer=self.schedule.length // 2,
            d_model=stream.width,
            n_head=n_head,
            d_head=d_head,
            d_mlp=self.widest,
            n_positions=self.n_positions,
            causal=not self.signature.pattern.visible_context,
            dtype=self.dtype,
        )
        embedding, positions = self._embedding()
        readout = stream.read(self.schedule.tasks.output)
        return Emitted(config, embedding, positions, body, self.norm, readout, stream, self.neurons, self.heads)

    def _choose(self) -> tuple[Stream, int]:
        """The narrowest width that holds the slots and the heads; of d_head 64 and 16 the wider head, unless it costs
        a quarter."""
        best: tuple[Stream, int] | None = None
        for d_head in (16, 64):
            n_head = 1
            while (stream := self._stream(d_head, n_head)) is None or not self._heads_fit(stream, d_head, n_head):
                n_head += 1
            if best is None or stream.width <= 1.25 * best[0].width:
                best = stream, d_head
        assert best is not None
        return best

    def _heads_fit(self, stream: Stream, d_head: int, n_head: int) -> bool:
        self.stream = stream
        if stream.digits + 2 > d_head:
            return False
        return all(
            self._heads(stage, g).count(d_head) <= n_head
            for g, stage in enumerate(self.schedule.walk())
            if stage.side == "attention"
        )

    def _body(self, stages: list[Stage | LoopStage]) -> Body:
        body: list[Attention | Mlp | Idle | Repeated] = []
        for stage in stages:
            if isinstance(stage, LoopStage):
                body.append(Repeated(stage.count, self._body(stage.body), stage.scan))
                continue
            body.append(self._attention(stage) if stage.side == "attention" else self._mlp(stage))
            self.number += 1
        return tuple(body)

    def _attention(self, stage: Stage) -> Attention | Idle:
        heads = self._heads(stage, self.number)
        if not heads.groups and stage.division is None:
            return Idle("attention")
        query, query_bias, key, key_bias, value, output = heads.finish(self.n_head, self.d_head)
        self.heads += heads.count(self.d_head)
        stream = self.stream
        norm, bias = self.norm, np.zeros(stream.width)
        if stage.division is not None:
            norm = Norm(np.full(stream.width, stream.constants.divide), np.zeros(stream.width))
            bias = stream.norm_pattern * stream.constants.scale
        return Attention(
            norm, query, query_bias, key, key_bias, value, np.zeros(self.n_head * self.d_head), output, bias
        )

    def _heads(self, stage: Stage, number: int) -> Heads:
        stream = self.stream
        divisor = self.divisor if stage.division is not None else None
        heads = Heads(stream, self.role_kinds, self.n_positions, divisor, self._hidden)
        own = Relation("own")
        for placed in stage.placed:
            task = placed.task
            write = self._writes(placed)
            match task.op:
                case Copy(relation):
                    pattern = self._pattern(relation, task.kinds, self._sources(task.op.relation))
                case Mean(over):
                    pattern = Pattern(None, frozenset({over}), task.kinds)
                case Quotient(low, _):
                    pattern = Pattern(None, self.everyone, task.kinds)
                    write = write * float(np.sign(low))
                case _:
                    pattern = self._pattern(own, task.kinds, self.everyone)
            heads.add(pattern, stream.read(task.reads[0]), write)
        if stage.division is not None:
            return heads
        mine = self._pattern(own, self.everyone, self.everyone)
        if stage.carry is not None:
            slots = np.concatenate([stream.slots(a) for a in stage.carry.atoms])
            kind = frozenset({stage.carry.relation.kind or ""})
            heads.add(
                self._pattern(stage.carry.relation, stage.carry.kinds, kind), stream.pick(slots), stream.put(slots)
            )
            heads.add(mine_at(mine, stage.carry.kinds), stream.pick(slots), stream.put(slots, -1.0))
        for atom in self.allocation.clears.get(number, ()):
            heads.add(mine, stream.pick(stream.slots(atom)), stream.put(stream.slots(atom), -1.0))
        if self.divisor is not None and heads.groups:
            heads.add(mine, stream.pick(stream.scratch), stream.put(stream.scratch, -1.0))
        return heads

    def _sources(self, relation: Relation) -> Kinds:
        return self.everyone if relation.kind is None or relation.name.startswith("own") else frozenset({relation.kind})

    def _writes(self, placed: object) -> Matrix:
        """[size, width]: the task's own slots, if it has any, and what else it writes to."""
        from .schedule import Placed

        assert isinstance(placed, Placed)
        size = self.schedule.tasks.atoms[placed.task.out].size
        total = Matrix.zero(size, self.stream.width)
        direct = any(w.atom == placed.task.out for w in placed.writes)
        if placed.task.out in self.allocation.slots and not direct:
            total = total + self.stream.write(placed.task.out)
        for write in placed.writes:
            total = total + self.stream.write(write.atom, write.matrix)
        return total

    def _mlp(self, stage: Stage) -> Mlp | Idle:
        stream = self.stream
        neurons = Neurons(stream, self.bound, self.role_kinds, self.dtype)
        bias = np.zeros(stream.width)
        scratch: dict[int, Matrix] = {}
        if stage.prepares is not None:
            divisor = stage.prepares.task.reads[1]
            here = {p.task.out: p for p in stage.placed if not isinstance(p.task.op, Linear)}
            late = {a: m for a, m in divisor.parts if a in here}
            scratch = {a: Matrix(m.csr.T) @ stream.to_scratch(1.0) for a, m in late.items()}
            early = divisor.without(*late)
            if early.parts:
                neurons.linear(early, stream.to_scratch(1.0), stage.prepares.task.kinds)
            bias = -stream.norm_pattern * stream.constants.scale
        for placed in stage.placed:
            write = self._writes(placed)
            extra = scratch.get(placed.task.out)
            neurons.task(placed, write if extra is None else write + extra)
        for atom in self.allocation.clears.get(self.number, ()):
            slots = stream.slots(atom)
            neurons.passing(stream.pick(slots), stream.put(slots, -1.0), self._holders(atom))
        if stage.clears is not None:
            neurons.linear(stage.clears.task.reads[1], stream.to_scratch(-1.0), stage.clears.task.kinds)
        up, up_bias, down = neurons.finish()
        if not up_bias.size and not bias.any():
            return Idle("mlp")
        self.neurons += up_bias.size
        self.widest = max(self.widest, up_bias.size)
        return Mlp(self.norm, up, up_bias, down, bias)

    def _holders(self, atom: int) -> Kinds:
        return self.schedule.tasks.atoms[atom].kinds if atom != ROLES else self.everyone

    # Embedding ----------------------------------------------------------------------------------

    def _embedding(self) -> tuple[Matrix, Floats]:
        """features @ embedding + positions: roles, fields, constant starts; constants of the norm, position codes,
        counts."""
        stream, tasks = self.stream, self.schedule.tasks
        names = roles(self.signature.pattern)
        features = len(names) + sum(
            tasks.atoms[tasks.fields[f.name]].size if f.name in tasks.fields else _size(f.shape)
            for f in self.signature.fields
        )
        table = np.zeros((self.n_positions, stream.width))
        scale = scale_of(self.n_positions)
        place = np.arange(self.n_positions) / scale
        table[:, stream.position], table[:, stream.position + 1] = place, place**2
        if stream.digits:
            table[:, stream.digit : stream.digit + stream.digits] = digits(self.n_positions)
        rows, columns, values = [np.arange(len(names))], [stream.roles], [np.ones(len(names))]

        def put(row: object, column: object, value: object) -> None:
            r, c, v = np.broadcast_arrays(row, column, value)  # type: ignore[arg-type]
            rows.append(r.ravel())
            columns.append(c.ravel())
            values.append(v.ravel())

        for number, key in enumerate(self.tables):
            rule = self.targets[key]
            assert rule.table is not None
            table[:, stream.table + number] = rule.table / scale
        for kind, atom in tasks.counts.items():
            if atom in self.allocation.slots:
                found = counts(self.signature.pattern, kind, self.n_positions)
                assert found is not None  # legalise.py has asked
                table[:, stream.slots(atom)[0]] = found[0]
                put(np.arange(len(names)), stream.slots(atom)[0], found[1])
        for atom in self.allocation.slots:
            start = tasks.atoms[atom].start
            if start is not None:
                coo = start.csr.tocoo()
                put(coo.col, stream.slots(atom)[coo.row], coo.data)
        offset = len(names)
        for spec in self.signature.fields:
            size = _size(spec.shape)
            if spec.name in tasks.fields:
                put(offset + np.arange(size), stream.slots(tasks.fields[spec.name]), 1.0)
            offset += size
        table[:, stream.balance] = -table.sum(axis=1)
        table += stream.norm_pattern * stream.constants.scale
        matrix = Matrix.of(
            np.concatenate(rows), np.concatenate(columns), np.concatenate(values), (features, stream.width)
        )
        return stream.balanced_write(matrix), table


SWALLOW_BITS = {"float32": 25.0, "float64": 54.0}
DIVIDE_BITS = {"float32": 11.0, "float64": 22.0}
CONSTANT_BITS = {"float32": 12.0, "float64": 24.0}
LARGEST = {"float32": 2.0**56, "float64": 2.0**480}
"""Of the norm's constants, whose squares are summed."""


def mine_at(pattern: Pattern, kinds: Kinds) -> Pattern:
    """The same reading, for readers of `kinds` only."""
    return Pattern(pattern.target, pattern.sources, kinds, pattern.table)


def _power(size: float, bits: float) -> float:
    """The power of two next above size · 2^bits."""
    return float(2.0 ** np.ceil(np.log2(max(size, 2.0**-20)) + bits))


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=int))
