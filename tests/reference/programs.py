"""Random programs that draw on all of the language: well-formed, and mostly sound; the checker refuses the rest.

program random(d = 2, m = 3, rate = 0.3, …)     patterns with prefix, group and suffix, visible context or not
tokens h (x y)* q  visible context              fields of every type, on one kind or several, some with a range
…                                               names assigned again and again, at top level and in `at`, `repeat` and
u : vector[d] = (0.5 * mean[j in y](…))         `scan`, by expressions (expressions.py) and moves

What a name holds and where it lives is known while the program is written. What loops carry is mostly kept small.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise, product
from random import Random

from .expressions import LAYERS, PLAIN, SHAPES, SIZES, Expressions, Held, Place, Shape

PATTERNS = ("(x)*", "(x y)*", "(x y)* x", "h (x)* q", "h (x y)*", "(x)* q", "(x y q)* x", "h x (y)* q x", "h q (x)*",
            "(x)* (y)* q", "h (x y)* (q)*")  # fmt: skip
RANGES = ("[-1, 1]", "[0, 1]", "[0.5, 2]", "[-4, 4]", "[1, 50]", "[-3, 0]")
NAMES = "pqrstuvwz"
STEPS = 8
"""Tokens of the kind that a scan runs at."""


def random_program(random: Random) -> str:
    """Source text; its parameters have defaults."""
    pattern = random.choice(PATTERNS)
    prefix, *groups, suffix = (part.split() for part in re.split(r"\)\* \(|\(|\)\*", pattern))
    group = [kind for one in groups for kind in one]
    chosen = product((0, 2), repeat=len(groups))
    runs = [prefix + [k for one, n in zip(groups, times, strict=True) for k in one * n] + suffix for times in chosen]
    before = [pair for run in runs for pair in pairwise(run)]
    kinds = tuple(sorted({*prefix, *group, *suffix}))
    numbers = random.random() < 0.5  # sizes are written as numbers, and arrays then fit
    writer = _Writer(random, kinds, {k: {b for b, after in before if after == k} for k in kinds}, numbers, {})
    writer.library = random.random() < 0.3
    parameters = ["d = 2", "m = 3", f"rate = 0.3{random.choice(['', '', ' in (0, 1)', ' in [0.3, m)'])}"]
    types = SHAPES | {LAYERS: f"tensor[{', '.join(LAYERS)}]"}
    for name, shape, value in (("A", ("d", "d"), "identity(d)"), ("T", LAYERS, "0.5"), *PLAIN):
        if random.random() < 0.3 or (not numbers and name not in "AT"):
            parameters.append(f"{name} : {types[shape]} = {value}")
            writer.hold(name, Held(shape, writer.everywhere, constant=True, source=True))
    fields = writer.fields(groups)
    lines = writer.definitions()
    for _ in range(random.randint(0, 2)):
        lines.append(writer.constant())
    lines += writer.block(random.randint(2, 5), Place(writer.everywhere), 0, frozenset({"at", "repeat", "scan"}), {})
    lines += writer.output()
    visible = random.random() < 0.4
    if visible:  # a scan of the context may go backwards
        ahead = "|".join(k for k in kinds if k not in suffix) or "$"
        lines = [
            re.sub(rf"scan ({ahead}) up", r"scan \1 backwards up", s) if random.random() < 0.5 else s for s in lines
        ]
    head = f"tokens {pattern}{'  visible context' if visible else ''}"
    use = ["use linear_algebra"] if writer.library else []
    text = "\n".join([f"program random({', '.join(parameters)})", *use, "", head, *fields, "", *lines, ""])
    if not numbers:
        return text
    sizes = re.compile(r"(?<=[\[( ])[dm](?=[\]),])")
    return re.sub(
        r"(vector|matrix|tensor|onehot)\[[dm, ]+\]|identity\(d\)",
        lambda t: sizes.sub(lambda k: str(SIZES[k[0]]), t[0]),
        text,
    )


class _Writer(Expressions):
    # the head

    def fields(self, groups: list[list[str]]) -> list[str]:
        """Each group has one that lives in no other."""
        lines = []
        for place, name in enumerate(self.random.sample("xynal", self.random.randint(len(groups), 3))):
            kinds = set(self.random.sample(self.kinds, self.random.randint(1, len(self.kinds))))
            if place < len(groups):
                kinds -= {kind for other in groups for kind in other if other != groups[place]}
                kinds.add(self.random.choice(groups[place]))
            options: list[tuple[Shape, str]] = [
                ((), "scalar"), (("d",), "vector[d]"), (("m",), "onehot[m]"), (("d", "m"), "matrix[d, m]"),
            ]  # fmt: skip
            shape, type = self.random.choices(options, [4, 5, 1, 1])[0]
            on = "" if kinds == {name} else f" on {', '.join(sorted(kinds))}"
            within = f" in {self.random.choice(RANGES)}" if "onehot" not in type and self.chance(0.3) else ""
            lines.append(f"    {name} : {type}{on}{within}")
            self.hold(name, Held(shape, frozenset(kinds), source=True))
        return lines

    def definitions(self) -> list[str]:
        """Functions of one or two arguments of one shape."""
        lines = []
        for name in ("f", "g")[: self.random.choice([0, 0, 1, 2])]:
            shape = self.random.choice([(), ("d",)])
            arguments = ("e1", "e2")[: self.random.randint(1, 2)]
            inside = _Writer(self.random, self.kinds, {}, self.numbers, {}, dict(self.functions))
            inside.names = {a: Held(shape, self.everywhere, source=True) for a in arguments}
            only = frozenset(arguments)
            value = inside.expression(shape, 2, Place(self.everywhere, side="mine", only=only))
            self.functions[name] = (shape, len(arguments))
            if self.chance(0.6):
                lines.append(f"def {name}({', '.join(arguments)}) = {value}")
                continue
            change = inside.small(shape, 1, Place(self.everywhere, side="mine", only=only))
            lines += [f"def {name}({', '.join(arguments)})", f"    e3 = {value}", "    repeat 2"]
            lines += [f"        e3 = 0.5 * e3 + {change}", "    output e3"]
            self.running.add(name)
        return lines

    def constant(self) -> str:
        shape = self.random.choice(list(SHAPES))
        name = self.fresh(shape)
        self.hold(name, Held(shape, self.everywhere, constant=True, source=True))
        return f"{name} : {SHAPES[shape]} = {self.random.choice(['0', '1', '0.5', '-2'])}"

    def output(self) -> list[str]:
        """What was computed last at some kind, or at all, and perhaps something more of its shape; now and then another
        output beside it."""
        kind = self.random.choice([None, *self.kinds])
        place = Place(self.everywhere if kind is None else frozenset({kind}))
        living = [n for n, held in self.names.items() if not held.source and held.kinds >= place.here]
        name = self.random.choice(living[-3:]) if living else None
        shape = self.names[name].shape if name is not None else self.random.choice(list(SHAPES))
        value = self.expression(shape, self.random.randint(1, 2), place)
        if name is not None:
            value = self.random.choice([name, f"({name} {self.random.choice('+-*')} {value})"])
        outputs = [f"output {value}"]
        if self.chance(0.2):
            more = self.expression(self.random.choice(list(SHAPES)), 1, place)
            outputs = [f"output mean = {value}", f"output other = {more}"]
        return outputs if kind is None else [f"at {kind}", *(f"    {line}" for line in outputs)]

    # statements

    def block(
        self, count: int, place: Place, indent: int, allowed: frozenset[str], carried: dict[str, Held]
    ) -> list[str]:
        """So many statements; `carried` are the names from before the loop around them."""
        lines: list[str] = []
        space = "    " * indent
        for _ in range(count):
            which = self.random.choice(["assign", "assign", "assign", "at", "repeat", "scan"])
            kind, inner = self.random.choice(sorted(place.here)), self.random.randint(1, 3)
            if which == "at" and which in allowed:
                at = replace(place, here=frozenset({kind}))
                body = self.block(inner, at, indent + 1, allowed - {"at", "scan"}, carried)
                lines += [f"{space}at {kind}", *body]
            elif which == "repeat" and which in allowed:
                nested = allowed if indent == 0 else allowed - {"repeat", "scan"}
                times, before = (
                    self.random.choice([1, 2, 2, 3, 3, 0] if self.chance(0.2) else [1, 2, 3]),
                    dict(self.names),
                )
                turn, size = ("io"[len(self.turns)], self.random.choice("dm")) if self.chance(0.3) else ("", "")
                if turn:
                    times, self.turns[turn] = SIZES[size], size
                schedule = indent == 0 and self.chance(0.2)
                if schedule:  # a number that the loop makes of itself
                    lines.append("eta = 1")
                    self.hold("eta", Held((), self.everywhere, constant=True, source=True))
                body = self.block(inner, place, indent + 1, nested, before)
                body += ["    eta = 0.5 * eta + 0.1"] * schedule
                text = "m" if times == 3 and self.chance(0.5) else str(times)
                if turn:
                    text = f"{times if self.numbers else size} as {turn}"
                    del self.turns[turn]
                lines += [f"{space}repeat {text}", *body]
                self.names = before if times == 0 else self.names
                self.names.pop("eta", None)
            elif which == "scan" and which in allowed:
                lines += self.scan(kind, inner, place, indent)
            else:
                lines.append(space + self.assign(place, carried))
        return lines

    def scan(self, kind: str, count: int, place: Place, indent: int) -> list[str]:
        """Every name from before that lives at the kind may be carried."""
        before = dict(self.names)
        living = {n: held for n, held in before.items() if kind in held.kinds and not held.source}
        at = replace(place, here=frozenset({kind}), flowing=frozenset(NAMES))
        self.names = {n: h for n, h in before.items() if kind in h.kinds or h.source}
        body = self.block(count, at, indent + 1, frozenset({"repeat"}), living)
        for name, held in before.items():
            self.names[name] = replace(held, constant=False) if name in self.names and name in living else held
        return [f"{'    ' * indent}scan {kind} up to {STEPS}", *body]

    def fresh(self, shape: Shape, reuse: bool = False) -> str:
        """A name for a value of this shape: a new one, or one that has it."""
        have = [n for n in NAMES if n in self.names and self.names[n].shape == shape]
        new = [n for n in NAMES if n not in self.taken]
        if have and (not new or (reuse and self.chance(0.6))):
            return self.random.choice(have)
        return self.random.choice(new or have or [n for n in NAMES if n in self.names])

    def assign(self, place: Place, carried: dict[str, Held]) -> str:
        shape = self.random.choices(list(SHAPES), [5, 5, 1, 1, 1])[0]
        mine = [n for n, h in carried.items() if n in NAMES and h.kinds >= place.here]
        name = self.random.choice(mine) if mine and self.chance(0.7) else self.fresh(shape, reuse=True)
        before = self.names.get(name)
        shape = before.shape if before is not None else shape
        kept = before is not None and before.kinds >= place.here
        depth = self.random.randint(1, 3)
        if kept and name in carried and self.chance(0.75):
            change = self.small(shape, depth, place)
            value = self.random.choice([f"0.5 * {name} + {change}", f"{name} - rate * {change}", f"tanh({change})"])
        elif kept and self.chance(0.3):
            value = f"{name} - rate * {self.gradient(name, place)}"
        elif self.chance(0.15) and (moved := self.move(shape, place)) is not None:
            value = self.random.choice([moved, f"rtw({moved})", f"({moved} + {self.expression(shape, 1, place)})"])
        elif self.chance(0.1):
            value = self.promise(shape, place)
        else:
            value = self.expression(shape, depth, place)
        kinds = place.here | (before.kinds if before is not None else frozenset())
        typed = self.chance(0.4)
        if typed and shape and self.chance(0.2):
            value = self.expression((), 1, place)  # stretched
        self.hold(name, Held(shape, kinds))
        return f"{name} : {SHAPES[shape]} = {value}" if typed else f"{name} = {value}"

    def promise(self, shape: Shape, place: Place) -> str:
        names = self.living(shape, place) or [self.leaf(shape, place)]
        mine = self.random.choice(names)
        if self.chance(0.5):
            return f"affine(2 * {mine} - {self.random.choice(names)} / 4)"
        return f"rtw({mine} - rate * {self.read(shape, 1, place)})"

    def gradient(self, name: str, place: Place) -> str:
        """Of a loss by my `name`, which has its shape."""
        over = self.random.choice(self.kinds)
        shape = self.names[name].shape
        if len(shape) == 1 and self.chance(0.6):
            theirs = replace(place, over=over, side="theirs", only=frozenset(self.sources()))
            features, label = self.expression(shape, 0, theirs), self.expression((), 0, theirs)
            how = self.random.choice(["mean", "sum"])
            return f"grad[{name}]({how}[j in {over}]((dot({name}, {features}) - {label}) ^ 2 / 2))"
        loss = self.expression((), 2, replace(place, only=frozenset({name, *self.sources()})))
        return f"grad[{name}]({loss})"

    def sources(self) -> list[str]:
        return [n for n, held in self.names.items() if held.source]

    def move(self, shape: Shape, place: Place) -> str | None:
        names = [n for n, h in self.names.items() if h.shape == shape and not h.constant and n not in place.flowing]
        if not names:
            return None
        name = self.random.choice(names)
        kinds = self.names[name].kinds
        before = set().union(*(self.before[kind] for kind in place.here))
        which = self.random.choice(["first", "first", "last", "previous"])
        sources = [f"{which} {self.random.choice(sorted(kinds))}"]
        if before and before <= kinds:
            sources += ["previous"] * 2
        if before and kinds == self.everywhere:
            sources.append(f"previous {self.random.randint(1, 3)}")
        return f"move {name} from {self.random.choice(sources)}"


def random_linear_program(random: Random) -> str:
    """Source text that linear attention holds: residuals and inputs that loops add to."""
    lines = ["at example", "    r = y", "at query", "    r = 0", "z = x"]
    for _ in range(random.randint(1, 2)):
        lines.append(f"repeat {random.randint(1, 3)}")
        for _ in range(random.randint(1, 3)):
            score = f"dot({random.choice('xz')}, {random.choice('xz')}[j])"
            name, value = random.choice([("r", "r[j]"), ("r", "y[j]"), ("z", "z[j]"), ("z", "r[j] * x[j]")])
            if value == "r[j] * x[j]":
                score = random.choice(["1", "r"]) if random.random() < 0.5 else score
                value = random.choice(["x[j]", "z[j]"])
            how, keep = random.choice(["mean", "sum"]), random.choice(["", "0.5 * ", "-"])
            scale = 0.2 if how == "mean" else 0.05
            lines.append(f"    {name} = {keep}{name} + {scale} * {how}[j in example]({score} * {value})")
    lines.append(random.choice(["output r", "at query\n    output -r", "output z", "output r + sum(z)"]))
    head = "tokens (example)* query  visible context\n    x : vector[d] on example, query\n    y : scalar on example"
    return "\n".join(["program random(d = 2)", "", head, "", *lines, ""])


def random_delta_program(random: Random) -> str:
    """Source text of a scan that is mostly the delta rule, written in one of many ways: a vector or a matrix, a gate, a
    rate that may be over ε + |k|², keys that the token holds or was moved; now and then with a term that it is not."""
    pick, chance = random.choice, random.random
    matrix, more = chance() < 0.3, chance() < 0.3
    key, value = pick(["u", "u", "2 * u", "(u - c)", "c"]), pick(["y", "y", "2 * y - 1", "1"])
    held = f"transpose(w) @ ({key})" if matrix else f"dot(w, {key})"
    value = f"[{value}, {pick(['y', '0.5'])}]" if matrix else value
    gate = pick(["", "", "0.9 * ", "(1 - f) * "])
    rate = pick(["rate", "0.2", "f", "f / 2"]) + pick(["", "", f" / (0.5 + dot({key}, {key}))"])
    step = f"outer({key}, {value} - {gate}{held})" if matrix else f"({value} - {gate}{held}) * {key}"
    change = pick([f"{gate}w + {rate} * {step}", f"{gate}w - {rate} * -{step}"])
    change = pick([f"tanh({change})", f"{change} + 0.1 * w * w"]) if chance() < 0.15 else change
    read = pick(["transpose(w) @ x", "w"]) if matrix else pick(["dot(w, x)", "dot(w, x)", "w", "2 * dot(w, x) - 1"])
    lines = [f"w : {'matrix[d, 2]' if matrix else 'vector[d]'} = {pick(['0', '0', '0.5'])}", *["s : scalar = 0"] * more]
    lines += ["scan y up to 8", f"    w = {change}", *[f"    s = 0.5 * s + {pick(['y', '1', 'f * y'])}"] * more]
    lines += ["at x", f"    output {read}{' + s' * more}"]
    fields = ["x : vector[d]", "y : scalar", "f : scalar on y in [0, 1]", "c : vector[d] on y"]
    head = ["program random(d = 2, rate = 0.3)", "", "tokens (x y)* x", *(f"    {field}" for field in fields), ""]
    return "\n".join([*head, "at y", "    u = move x from previous", *lines, ""])
