"""What is known of weights: where values stand, where constructions are right, how exact the whole is and on what."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import SupportsIndex, overload

from .arrays import Floats
from .displayed import Displayed, Sheet
from .errors import counted
from .sparse import Matrix
from .words import Optimize, When


@dataclass(frozen=True)
class Write:
    """At tokens of `kinds`, stream += change @ matrix [size, d_model] changes a value by `change`. Of a symmetric value
    that is packed it writes the mean of the two halves.

    alone   whether all that reads those slots reads the value; else it has to be tried whether the outputs follow
    """

    kinds: frozenset[str]
    matrix: Matrix
    alone: bool = True


@dataclass(frozen=True, repr=False)
class Placement:
    """Where a named value stands: value = stream @ matrix (+ nothing), after each of the sublayers first … last.

    Sublayers are numbered in the order of the tree, a loop's body once. `low`, `high` [size] is the
    range that the weights were compiled for, at the tokens of `kinds`.

    writes    how to change it, of several for one kind the first that all which reads it follows
    entered   whether it holds before sublayer `first` runs, too, so that this may be the first to read it
    turn      of a scan: the token of its kind, from 0, whose turn the first pass is (the next pass is the next one's,
              and each holds its own value from its turn on); −1 of what belongs to no scan
    when      which value of the name it is (see `When`)
    idle      kinds of token at which a call leaves out some of what makes it, since no output comes of it there
    later     of a repeat of the program: how many passes come after the one that it is of, or, of a repeat that is
              one here too, after the last one of that; −1 of what belongs to no repeat
    """

    name: str
    shape: tuple[int, ...]
    kinds: frozenset[str]
    matrix: Matrix
    first: int
    last: int
    low: Floats
    high: Floats
    writes: tuple[Write, ...] = ()
    entered: bool = False
    turn: int = -1
    when: When = "value"
    later: int = -1
    idle: frozenset[str] = frozenset()

    @property
    def headed(self) -> bool:
        """Whether token 0 holds it before the scan's first pass, which is the next token's turn."""
        return self.when == "ended" and self.turn > 0

    @property
    def changed_from(self) -> int:
        """The first token of its kind at which a change is followed by all later ones."""
        return 0 if self.headed else max(0, self.turn)

    def __repr__(self) -> str:
        where = ", ".join(sorted(self.kinds))
        return f"Placement({self.name}: {shape(self.shape)} at {where}, sublayers {self.first} to {self.last})"


class Layout(Displayed, tuple[Placement, ...]):
    """Where every named value stands, in the order in which they are computed; `layout["w"]` is those of w."""

    __slots__ = ()

    @overload
    def __getitem__(self, key: SupportsIndex) -> Placement: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Placement, ...]: ...
    @overload
    def __getitem__(self, key: str) -> Layout: ...
    def __getitem__(self, key: SupportsIndex | slice | str) -> Placement | tuple[Placement, ...]:
        return Layout(p for p in self if p.name == key) if isinstance(key, str) else super().__getitem__(key)

    def _sheet(self) -> Sheet:
        rows = tuple(
            (p.name, shape(p.shape), ", ".join(sorted(p.kinds)), f"{p.first} to {p.last}",
             f"{p.low.min():.3g} to {p.high.max():.3g}")
            for p in self
        )  # fmt: skip
        return Sheet(f"Layout of {counted(len(self), 'value')}", rows, ("name", "shape", "at", "sublayers", "range"))


def shape(of: tuple[int, ...]) -> str:
    """`scalar`, `vector[3]`, `matrix[2, 3]`."""
    return ("scalar", f"vector{list(of)}", f"matrix{list(of)}")[min(len(of), 2)]


@dataclass(frozen=True)
class Domain:
    """Where a construction is right: stream @ matrix lies in [low, high] at the tokens of `kinds`, before the stored
    sublayer `sublayer`, which reads it, or `after` the one that writes it (see domains.py).

    construction   product, function, divisor, value; comparison: |value| is *not* between the two, where its
                   sign does not decide;
                   scores: stream @ matrix at a token of `kinds`, times stream @ key at one of `over` that it sees;
                   softmax: of such scores of up to `reach`, which leave nothing for rounding to decide; `high` is the
                   size of what is read
    what, sizes    how the program says what the columns are, and how many columns each of those has
    pairs          of a product: columns i, j may leave their ranges while both, from the middle in half ranges, are
                   2 together
    """

    construction: str
    sublayer: int
    after: bool
    kinds: frozenset[str]
    matrix: Matrix
    low: Floats
    high: Floats
    what: tuple[str, ...]
    sizes: tuple[int, ...]
    pairs: tuple[tuple[int, ...], ...] = ()
    key: Matrix | None = None
    over: str = ""
    reach: float = 0.0


@dataclass(frozen=True)
class InputRange:
    """The range of a field that the weights were compiled for."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Certificate:
    """What a report's errors were measured on, and what else the weights were made from.

    measured_on  the tasks, in words, those of the default drawn from `seed`; `seen`: each field's range on them
    calibrated   the data that the compiled ranges were taken from, in words; the ranges are `Weights.inputs`
    default      whether both are drawn by default_tasks.py, and not the caller's
    optimize, tolerance, certify, rotation, spread, tokens    as `compile_program` was given them
    bits         so far the norm's constants are above the rest, where `spread` chose them
    shrunk       by what share a norm makes what is read smaller, at most, on those tasks
    """

    measured_on: str
    seen: tuple[InputRange, ...]
    calibrated: str
    default: bool
    seed: int | None
    optimize: Optimize
    tolerance: float | None
    certify: int = 64
    tokens: int | None = None
    rotation: bool = False
    shrunk: float = 0.0
    spread: float | None = None
    bits: float | None = None


@dataclass(frozen=True)
class AnswerError:
    """How exact one of several outputs is, as in `Report`."""

    name: str
    predicted_error: float
    measured_error: float
    output_rms: float


@dataclass(frozen=True, repr=False)
class Report(Displayed):
    """What was built, and how exact it is; `predicted` and `measured` are largest errors of the output: of several, of
    the one that is least exact for its size, and `answers` says it of each. `certificate` is None for weights that were
    saved before there was one; `trained`: of weights that were trained, and not compiled, on what and with which loss,
    in words."""

    layers: int
    critical_path: int
    width: int
    slots: int
    live: int
    neurons: int
    heads: int
    nonzeros: int
    parameters: int
    predicted_error: float
    measured_error: float
    output_rms: float
    tasks: int
    certificate: Certificate | None = None
    trained: str = ""
    spread: float = nan
    """The largest slot over the median one: root mean squares over tokens and sublayers. The median is that of slots
    that hold anything and are none of the norm's constants.
    NaN for weights that were saved before it was measured."""
    answers: tuple[AnswerError, ...] = ()

    def _sheet(self) -> Sheet:
        return Sheet("Report", self.lines())

    def lines(self) -> tuple[tuple[str, str], ...]:
        """What it says, with headings."""
        found = [
            ("layers", f"{self.layers}, critical path {self.critical_path}"),
            ("width", f"{self.width}; {self.slots} slots, {self.live} live at most"),
            ("neurons, heads", f"{self.neurons:,}, {self.heads}"),
            ("size", f"{self.parameters:,} parameters, of which {self.nonzeros:,} are not zero"),
            *self.errors(),
        ]
        if isfinite(self.spread):
            found.append(("largest slot", f"{self.spread:.2g} times the median one"))
        if self.certificate is not None:
            found.append(("measured on", self.certificate.measured_on))
            found.append(("calibrated on", self.certificate.calibrated))
        if self.trained:
            found.append(("trained", self.trained))
        return tuple(found)

    @property
    def each(self) -> tuple[AnswerError, ...]:
        """Of every output, the only one too, which has no name here."""
        return self.answers or (AnswerError("", self.predicted_error, self.measured_error, self.output_rms),)

    def errors(self) -> list[tuple[str, str]]:
        """The errors of the output, or of each of several, with headings."""
        found = []
        for one in self.each:
            of = f" of {one.name}" * bool(one.name)
            on = counted(self.tasks, "task")
            found.append((f"error{of}, measured", f"{one.measured_error:.1e} on {on}; output rms {one.output_rms:.3g}"))
            if isfinite(one.predicted_error):
                found.append((f"error{of}, predicted", f"{one.predicted_error:.1e}"))
        return found
