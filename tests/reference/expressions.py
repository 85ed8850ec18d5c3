"""Random expressions, of every operator, function and read of the language, that fit where they stand.

    Expressions(random, …).expression(("d",), 2, Place({"y"}))   →   (0.5 * mean[j in x](tanh(x[j])))

What a name holds and where it lives is known: mine are used where they live, a function in a read takes one side, and
what is divided by is mostly away from 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from innerloop.compiler.numerics.functions import POINTWISE

Shape = tuple[str, ...]
"""The parameters that are its dimensions: () a scalar, ("d",), ("m",), ("d", "m")."""
SHAPES: dict[Shape, str] = {
    (): "scalar",
    ("d",): "vector[d]",
    ("m",): "vector[m]",
    ("d", "d"): "matrix[d, d]",
    ("d", "m"): "matrix[d, m]",
}
SIZES = {"d": 2, "m": 3}
FREE = tuple(
    f.name
    for f in POINTWISE.values()
    if f.slope is not None and f.takes == "all numbers" and not f.arguments and f.steep != "exponential"
)
"""The functions of the language that take any number and nothing else; but exp, which is drawn of small ones."""
PLAIN: tuple[tuple[str, Shape, str], ...] = (
    ("b", ("d",), "0.5"),
    ("c", ("m",), "-1"),
    ("G", ("d", "m"), "0.5"),
)
"""Parameters that stand where an array would."""
LAYERS: Shape = ("m", "d", "d")
PARAMETERS = ("A", "T", *(name for name, _, _ in PLAIN))
"""`T` is a matrix for each of m passes."""


@dataclass(frozen=True)
class Held:
    """`constant`: made of numbers alone, and everywhere; `source`: a field or a constant, which no name is part of."""

    shape: Shape
    kinds: frozenset[str]
    constant: bool = False
    source: bool = False


@dataclass(frozen=True)
class Place:
    """Where an expression stands: at tokens of `here`, in a read over `over` with `index`; of one `side` ("mine" or
    "theirs") where a function or a divisor takes it. `only`: the names that grad allows."""

    here: frozenset[str]
    over: str | None = None
    index: str = "j"
    side: str | None = None
    only: frozenset[str] | None = None
    flowing: frozenset[str] = frozenset()
    deep: bool = False
    """Whether this is a read in a read."""


@dataclass
class Expressions:
    """`before`: of each kind, those that can stand before it; `taken`: every name that was ever given a shape."""

    random: Random
    kinds: tuple[str, ...]
    before: dict[str, set[str]]
    numbers: bool
    names: dict[str, Held]
    functions: dict[str, tuple[Shape, int]] = field(default_factory=dict)
    taken: dict[str, Shape] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    """The functions that have lines of their own, and so take mine alone."""
    library: bool = False
    """Whether the program uses linear_algebra."""
    turns: dict[str, str] = field(default_factory=dict)
    """What counts the passes of the repeats around, and the size that they are as many as."""

    def hold(self, name: str, held: Held) -> None:
        self.names[name] = held
        self.taken[name] = held.shape

    @property
    def everywhere(self) -> frozenset[str]:
        return frozenset(self.kinds)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def living(self, shape: Shape, place: Place) -> list[str]:
        """Mine, of this shape."""
        found = [n for n, h in self.names.items() if h.shape == shape and (h.kinds >= place.here or h.constant)]
        return [n for n in found if place.only is None or n in place.only]

    def theirs(self, shape: Shape, place: Place) -> list[str]:
        if place.over is None:
            return []
        found = [
            n
            for n, h in self.names.items()
            if h.shape == shape and place.over in h.kinds and not h.constant and n not in place.flowing
        ]
        return [f"{n}[{place.index}]" for n in found if place.only is None or n in place.only]

    def leaf(self, shape: Shape, place: Place) -> str:
        if self.turns and self.chance(0.3) and (steps := self.by_step(shape)):
            return self.random.choice(steps)
        mine = [] if place.side == "theirs" else self.living(shape, place)
        theirs = [] if place.side == "mine" else self.theirs(shape, place)
        if theirs and self.chance(0.7):
            return self.random.choice(theirs)
        if mine and self.chance(0.85):
            return self.random.choice(mine[-4:])  # what was computed last
        if shape == ():
            return self.random.choice(["0.5", "2", "rate", "1e-2"])
        if shape == ("d", "d"):
            return "identity(d)"
        if not self.numbers:
            return next(name for name, of, _ in PLAIN if of == shape)
        rows = ["[" + ", ".join(self.random.choice(["1", "-0.5", "2", "0"]) for _ in range(SIZES[shape[-1]])) + "]"]
        return rows[0] if len(shape) == 1 else "[" + ", ".join(rows * SIZES[shape[0]]) + "]"

    def by_step(self, shape: Shape) -> list[str]:
        """What is constant in each pass of the repeats around."""
        found: list[str] = []
        for turn, size in self.turns.items():
            for name in PARAMETERS:
                held = self.names[name].shape if name in self.names else ()
                found += [f"{name}[{turn}]"] if held == (size, *shape) else []
                found += [f"{name}[{turn}, 1]"] if len(held) == 2 and (held[0], *shape) == (size,) else []
            found += [turn, f"(1 / {turn})", f"(0.5 ^ {turn})"] if shape == () else []
        return found

    def sided(self, place: Place) -> Place:
        """Of one side, where both could stand."""
        if place.over is None or place.side is not None:
            return place
        return replace(place, side=self.random.choice(["mine", "theirs", "theirs"]))

    def small(self, shape: Shape, depth: int, place: Place) -> str:
        """Never far from 0."""
        at = self.sided(place)
        value = self.expression(shape, depth - 1, at)
        forms = [f"tanh({value})", f"sigmoid({value})", f"clip({value}, -1, 1)", f"sign({value})"]
        forms += [f"({value} / (1 + abs({value})))", f"min(max({value}, -2), 0.5)"]
        if len(shape) == 1:
            forms += [f"softmax({value})", f"argmax({value})", f"({value} / sqrt(1 + dot({value}, {value})))"]
        return self.random.choice(forms)

    def truth(self, shape: Shape, depth: int, place: Place) -> str:
        """0 or 1."""
        at = self.sided(place)
        value, other = (self.expression(shape, depth - 1, at) for _ in range(2))
        forms = [f"{value} > {other}", f"not {value} < {other}", f"sign({value}) == 1", f"{value} == {value}"]
        return self.random.choice(forms)

    def positive(self, shape: Shape, depth: int, place: Place) -> str:
        """Well away from 0."""
        at = self.sided(place)
        value = self.expression(shape, depth - 1, at)
        forms = [f"(1 + {value} ^ 2)", f"(0.5 + abs({value}))", f"max({value}, 0.25)", f"(2 + tanh({value}))"]
        forms += [f"exp({self.small(shape, depth, at)})", f"sqrt(0.1 + {value} ^ 2)"]
        return self.random.choice(forms)

    def expression(self, shape: Shape, depth: int, place: Place) -> str:
        if depth <= 0 or self.chance(0.12):
            return self.leaf(shape, place)

        def part(other: Shape, at: Place = place) -> str:
            return self.expression(other, depth - 1, at)

        def one(of: Shape = shape) -> str:
            return self.expression(of, depth - 1, self.sided(place))

        def pick(*options: str) -> str:
            return self.random.choice(options)

        def pair(f: Callable[[str, str], str], a: Shape = shape, b: Shape = shape) -> str:
            at = self.sided(place)
            return f(self.expression(a, depth - 1, at), self.expression(b, depth - 1, at))

        forms: list[Callable[[], str]] = [
            lambda: f"({part(shape)} {pick(*'+-*')} {part(shape)})",
            lambda: f"({part(())} * {part(shape)})",
            lambda: f"({part(shape)} {pick(*'+-')} {part(())})",
            lambda: f"(-{part(shape)})",
            lambda: f"mul({part(shape)}, {part(shape)})",
            lambda: f"({part(shape)} ^ {self.random.choice([1, 2, 2, 3, 4])})",
            lambda: f"({part(shape)} / {self.positive(shape, depth, place)})",
            lambda: f"({part(shape)} / {self.positive((), depth, place)})",
            lambda: f"div({part(shape)}, {self.positive((), depth, place)})",
            lambda: f"{self.random.choice(FREE)}({one()})",
            lambda: f"{self.random.choice(FREE)}({one()})",
            lambda: self.small(shape, depth, place),
            lambda: f"{pick('exp', 'exp', 'log', 'sqrt')}({self.small(shape, depth, place)})",
            lambda: f"{pick('log', 'sqrt')}({self.positive(shape, depth, place)})",
            lambda: pair(lambda a, b: f"{pick('max', 'min')}({a}, {b})"),
            lambda: pair(lambda a, b: f"({a} {pick('<', '<=', '>', '>=')} {b})"),
            lambda: f"({self.truth(shape, depth, place)} {pick('and', 'or')} {self.truth(shape, depth, place)})",
        ]
        forms += [lambda: self.call(shape, depth, place)] if self.functions else []
        if (place.over is None and place.side is None and place.only is None) or (place.over and not place.deep):
            forms += [lambda: self.read(shape, depth, place)] * (5 if place.over is None else 2)
        if self.chance(0.02):  # what may leave the numbers, or divide by 0
            forms = [lambda: f"{pick('log', 'sqrt', 'exp')}({one()})", lambda: f"({part(shape)} / {one(())})"]
        else:
            forms += self.contractions(shape, part, self.sided(place))
            if self.library and place.over is None and place.only is None and shape in (("d",), ("d", "d")):
                forms += [lambda: self.solved(shape, depth, place)] * 4
        return self.random.choice(forms)()

    def solved(self, shape: Shape, depth: int, place: Place) -> str:
        """By a matrix that is symmetric and positive."""
        small = self.small(("d",), depth, place)
        matrix = f"(size({small}) * identity(d) + outer({small}, {small}))"
        if shape == ("d", "d"):
            return f"inverse({matrix})"
        return f"solve({matrix}, {self.expression(shape, depth - 1, place)})"

    def contractions(self, shape: Shape, part: Callable[[Shape], str], one: Place) -> list[Callable[[], str]]:
        """Products over an axis, and what else takes other shapes to this one."""
        d, m, square, wide = ("d",), ("m",), ("d", "d"), ("d", "m")
        last, short = ("2", "1") if self.numbers else ("d", "d - 1")
        largest = self.random.choice(["max", "min", "logsumexp"])
        match shape:
            case ():
                return [
                    lambda: f"dot({part(d)}, {part(d)})",
                    lambda: f"({part(d)} @ {part(d)})",
                    lambda: f"dot({part(m)}, {part(m)})",
                    lambda: f"sum({part(d)})",
                    lambda: f"sum({part(self.random.choice([square, wide, m]))})",
                    lambda: f"{largest}({self.expression(self.random.choice([d, m]), 1, one)})",
                    lambda: f"{part(d)}[{self.random.choice(['1', last])}]",
                    lambda: f"{part(square)}[{last}, 1]",
                ]
            case ("d",):
                return [
                    lambda: f"({part(square)} @ {part(d)})",
                    lambda: f"({part(d)} @ {part(square)})",
                    lambda: f"({part(wide)} @ {part(m)})",
                    lambda: f"diag({part(square)})",
                    lambda: f"row_sums({part(wide)})",
                    lambda: f"{part(square)}[{last}]",
                    lambda: f"concat({part(d)}[1:{short}], {part(())})",
                    lambda: f"[{part(())}, {part(d)}[2:{last}]]",
                ]
            case ("m",):
                return [
                    lambda: f"({part(d)} @ {part(wide)})",
                    lambda: f"dot({part(d)}, {part(wide)})",
                    lambda: f"column_sums({part(wide)})",
                    lambda: f"{part(wide)}[1]",
                ]
            case ("d", "d"):
                return [
                    lambda: f"outer({part(d)}, {part(d)})",
                    lambda: f"({part(square)} @ {part(square)})",
                    lambda: f"transpose({part(square)})",
                    lambda: f"({part(wide)} @ transpose({part(wide)}))",
                    lambda: f"diag({part(d)})",
                ]
            case _:
                return [lambda: f"outer({part(d)}, {part(m)})", lambda: f"({part(square)} @ {part(wide)})"]

    def call(self, shape: Shape, depth: int, place: Place) -> str:
        name, (of, arity) = self.random.choice(sorted(self.functions.items()))
        if of != shape:
            return self.leaf(shape, place)
        at = replace(place, side="mine") if name in self.running else self.sided(place)
        return f"{name}({', '.join(self.expression(of, depth - 1, at) for _ in range(arity))})"

    def read(self, shape: Shape, depth: int, place: Place) -> str:
        over, index = self.random.choice(self.kinds), "k" if place.over else "j"
        inside = replace(place, over=over, index=index, side=None, deep=place.over is not None)
        value = self.expression(shape, depth - 1, inside)
        if self.chance(0.25):
            score = self.expression((), depth - 1, inside)
            score = f"rate * {score}" if self.chance(0.5) else score
            return f"{self.random.choice(['softmax', 'softmax', 'argmax'])}[{index} in {over}]({score}, {value})"
        if shape == () and self.chance(0.15):
            return f"{self.random.choice(['max', 'min', 'logsumexp'])}[{index} in {over}]({value})"
        if self.chance(0.1):
            score = self.expression((), depth - 1, inside)
            score = self.random.choice([f"-({score}) ^ 2", f"rate * {score}"])
            value = f"exp({score}) * {value}"
        return f"{self.random.choice(['mean', 'mean', 'sum'])}[{index} in {over}]({value})"
