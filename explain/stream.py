"""What of a program stands in a model's residual stream, and whether the model's answer follows when it is changed.

    Behaviour with an inside, a fit   →   Inside: of each variable of the program R² by layer, and the slope of a patch

Variables are those that the program names, as they are at the query, after each pass of its loop; and the answers that
it would give after fewer passes, which a model holds that computes in the dual (von Oswald et al. 2022). Of each

    probe     R² on held-out tasks after every layer, of ridge regression from the stream at the query; the control is
              the same for the values of other tasks (laboratory/measures/probes.py)
    patch     after the first layer that holds it the stream is moved, along the probe's directions, to another task's
              value, and the change of the answer is regressed on what the program answers with that value in place:
              slope 1 where the model follows as the program says (laboratory/measures/patching.py)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import read_data
from innerloop.compiler.interpreter.counterfactual import Moment, changed
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Graph, Loop
from innerloop.laboratory.measures.patching import others, probe_change
from innerloop.laboratory.measures.probes import fit, fits, r_squared
from innerloop.laboratory.measures.subject import Subject

from .behaviour import given
from .evidence import Measured, ratio
from .fit import Fitted
from .written import written

FOUND = 0.9
"""The R² on held-out tasks from which a variable is said to be found."""
PRESENT = 0.1
"""The R² from which a pass is: what it alone brings in is a small part, and its squares have heavy tails."""
WHOLE = 2.0, 1e-8
"""After the first layer that leaves so many times what the best leaves of R², and so much, a variable is whole."""
MOST = 8
"""Passes that are looked for."""
LOOKED = 20
"""Passes that are probed, of a loop that has more, and the most that are looked for."""
ANSWER = "the answer"


@dataclass(frozen=True)
class Variable:
    """`values` [tasks, size] at the query; `others` those of other tasks, and `moved` [tasks, size of the answer] how
    the program's answer changes with them in place; None where the program does not say."""

    name: str
    values: Floats
    others: Floats
    moved: Floats | None


@dataclass(frozen=True)
class Held:
    """A variable in the stream: `score` and `control` [1 + sublayers], R² after each, from 0, the embedding; `first`:
    the sublayers after which it is whole, where it is patched; `slope`: of the answer's change on the program's, None
    where it is not found, not said, or held after the last sublayer alone, which nothing reads."""

    name: str
    score: Floats
    control: Floats
    first: int
    slope: Measured | None

    @property
    def found(self) -> bool:
        return bool(self.score[self.first] >= FOUND)

    @property
    def place(self) -> str:
        """In words."""
        if self.first == 0:
            return "as embedded"
        return f"after {'layer' if self.first % 2 == 0 else 'the attention of layer'} {(self.first + 1) // 2}"


@dataclass(frozen=True)
class Inside:
    """`held`: the variables of the best fit, in order. `passes`: of its loop, for each pass and one more the largest R²
    of what it holds beside those before it; none of a program that counts nothing."""

    layers: int
    held: tuple[Held, ...]
    passes: tuple[float, ...]

    @property
    def steps(self) -> int | None:
        """How many passes stand in the stream one after the other, where the first does and the last that was looked
        for does not; else the stream does not say."""
        found = [score >= PRESENT for score in self.passes]
        return found.index(False) if found and found[0] and not all(found) else None


def inside(model: Subject, fitted: Fitted, alike: tuple[Fitted, ...], x: Floats, y: Floats) -> Inside:
    """On tasks x [tasks, n + 1, d], y [tasks, n]; `alike`: what the answers do not tell from the fit."""
    fields = given(model.weights.signature, x, y)
    stream = model.stream(fields, every=1)
    named = list(variables(fitted, x, y))
    before = np.asarray(model(fields), np.float64)[:, -1].reshape(len(x), -1)
    held = []
    for variable, (score, control) in zip(named, probes(stream, named), strict=True):
        times, more = WHOLE
        first = int(np.flatnonzero(1 - score <= times * (1 - score.max()) + more)[0])
        slope = None
        if score[first] >= FOUND and variable.moved is not None and first < len(stream) - 1:
            change = probe_change(fit(stream[first], variable.values), stream[first], variable.others)
            answer = model.patched(fields, first / 2, -1, change)[:, -1].reshape(len(x), -1) - before
            left = variable.moved * (variable.moved - answer)
            slope = ratio(left.sum(1), (variable.moved**2).sum(1))
        held.append(Held(variable.name, score, control, first, slope))
    same = [fitted, *(f for f in alike if f.candidate.family.identity == fitted.candidate.family.identity)]
    counts = [count for f in same for count in f.counts.values() if len(f.counts) == 1]
    return Inside(model.layers, tuple(held), passes(stream, fitted, max(counts), x, y) if counts else ())


def passes(stream: Floats, fitted: Fitted, count: int, x: Floats, y: Floats) -> tuple[float, ...]:
    """The R² of each pass up to `count` + 1, see `Inside`: of a variable that the program carries, or of its answer,
    what no linear map of the passes before it gives, read from the stream beside those. Of gradient descent pass k
    brings in the k-th power of XᵀX. None where there are more passes than are looked for."""
    if count > LOOKED:
        return ()
    count = min(count + 1, max(MOST, count))
    named = list(variables(replace(fitted, counts=dict.fromkeys(fitted.counts, count)), x, y))
    best = [0.0] * count
    for name in {v.name.split(" after ")[0] for v in named}:
        line = [v.values for v in named if v.name.split(" after ")[0] == name]
        for number, values in enumerate(line if len(line) == count else []):
            before = np.concatenate([*line[:number], np.ones((len(values), 1))], 1)
            rest = values - before @ np.linalg.lstsq(before, values, rcond=None)[0]
            if _varies(rest, values):
                known = np.broadcast_to(before[:, :-1], (len(stream), *before[:, :-1].shape))
                one = Variable(name, rest, rest, None)
                ((score, _),) = probes(np.concatenate([stream, known], 2), [one])
                best[number] = max(best[number], float(score.max()))
    return tuple(best)


def variables(fitted: Fitted, x: Floats, y: Floats) -> Iterator[Variable]:
    """What the program names, and then its answers."""
    graph = graph_of(written(fitted, ""), {})
    data = read_data(graph.signature, given(graph.signature, x, y))
    plain = np.asarray(evaluate(graph, data), np.float64)[:, -1].reshape(len(x), -1)
    for name, moment in _moments(graph, len(data.sequence) - 1):
        kept: list[Floats] = []

        def another(value: Floats, kept: list[Floats] = kept) -> Floats:
            kept += [np.array(value), others(value)]
            return kept[1]

        outputs = changed(graph, data, moment, another)
        if outputs is None or not kept or not _varies(kept[0]):
            continue
        moved = outputs[:, -1].reshape(len(x), -1) - plain
        if np.isfinite(moved).all() and np.abs(moved).max() > 1e-9 * np.abs(plain).max():
            yield Variable(name, kept[0], kept[1], moved)
    yield from answers(fitted, x, y)


def answers(fitted: Fitted, x: Floats, y: Floats) -> Iterator[Variable]:
    """The answer, and before it those of fewer passes; to change the last is to change what is answered."""
    last = next(iter(fitted.counts.values()), 1) if len(fitted.counts) == 1 else 1
    for count in _looked(last):
        counts = dict.fromkeys(fitted.counts, count) if len(fitted.counts) == 1 else fitted.counts
        values = fitted.candidate.answers(fitted.theta, counts, x, y)
        values = values[:, -(values.shape[1] // len(fitted.candidate.prefixes)) :]
        if _varies(values):
            name = ANSWER if count == last else f"{ANSWER} after {count} of {last}"
            yield Variable(name, values, others(values), others(values) - values if count == last else None)


def _looked(count: int) -> list[int]:
    """Passes, the last among them: every one, or so many evenly spread."""
    return sorted({round(k) for k in np.linspace(1, count, min(count, LOOKED))})


def probes(stream: Floats, named: list[Variable], seed: int = 0) -> list[tuple[Floats, Floats]]:
    """R² and its control after each sublayer, of each variable; stream [1 + sublayers, tasks, d_model]. Probes are
    fitted on three quarters of the tasks."""
    order = np.random.default_rng(seed).permutation(stream.shape[1])
    cut = len(order) - len(order) // 4
    scaled = [v.values / v.values.std() for v in named]
    wanted = [of for values in scaled for of in (values, values[order])]
    scores = np.empty((len(wanted), len(stream)))
    for place, h in enumerate(stream):
        for number, probe in enumerate(fits(h[:cut], [of[:cut] for of in wanted])):
            scores[number, place] = r_squared(probe(h[cut:]), wanted[number][cut:])
    return list(zip(scores[::2], scores[1::2], strict=True))


def _varies(values: Floats, of: Floats | None = None) -> bool:
    """More than by rounding, of itself or of what it is a part of."""
    size = np.abs(values if of is None else of).max()
    return bool(np.isfinite(values).all() and values.std(0).max() > 1e-6 * max(1e-30, float(size)))


def _moments(graph: Graph, token: int) -> Iterator[tuple[str, Moment]]:
    """Names of the program and when: after each pass of a repeat, after a scan, or where they are."""
    fields = {field.name for field in graph.signature.fields}
    carried = set()
    for loop in (item for item in graph.block if isinstance(item, Loop)):
        names = [graph[c.phi].name or graph[c.result].name for c in loop.carried]
        carried |= {name.split(".")[0] for name in names if name}
        for name in (n.split(".")[0] for n in names if n):
            if loop.kind is not None:
                yield name, Moment(name, "after", None, token)
                continue
            for count in _looked(loop.count):
                shown = name if count == loop.count else f"{name} after {count} of {loop.count}"
                yield shown, Moment(name, "ended", loop.count - count, token)
    for value in graph.values():
        of = graph[value].name
        if of is not None and of.split(".")[0] not in carried | fields and not of.startswith("%"):
            yield of, Moment(of, "value", None, token)
