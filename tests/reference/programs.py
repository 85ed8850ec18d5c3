"""Random programs: well-formed, and mostly well-typed; the checker refuses the rest.

program random(d = 2)                     two vectors and two scalars, assigned again and again, at top level
…                                         and in `at`, `repeat` and `scan`, by expressions that read, move,
p : vector[2] = (0.5 * mean[j in y](…))   combine and apply functions, no deeper than three
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random


@dataclass(frozen=True)
class Head:
    """A token pattern; `homes` are the kinds that hold each field."""

    text: str
    kinds: tuple[str, ...]
    homes: dict[str, tuple[str, ...]]


HEADS = (
    Head("tokens (x y)* x\n    x : vector[d]\n    y : scalar", ("x", "y"), {"x": ("x",), "y": ("y",)}),
    Head(
        "tokens h (x)* q  visible context\n    a : vector[d] on h\n    x : vector[d] on x, q\n    y : scalar on x",
        ("h", "x", "q"),
        {"a": ("h",), "x": ("x", "q"), "y": ("x",)},
    ),
    Head(
        "tokens h (x y)*\n    a : vector[d] on h, y\n    x : vector[d]\n    y : scalar on x, y",
        ("h", "x", "y"),
        {"a": ("h", "y"), "x": ("x",), "y": ("x", "y")},
    ),
)


def random_program(random: Random) -> str:
    """Source text; its one parameter has a default."""
    head = random.choice(HEADS)
    writer = _Writer(random, head, {"p": True, "s": False, **{name: name != "y" for name in head.homes}})
    lines = ["p : vector[d] = 1", "s : scalar = 0.5"]
    if random.random() < 0.8:
        lines += ["at x", "    p = x"]
    lines += writer.block(random.randint(2, 5), 0, frozenset({"at", "repeat", "scan"}))
    lines.append(random.choice(["output p + s", "output p", "at x\n    output p * x + s"]))
    return "\n".join(["program random(d = 2)", "", head.text, "", *lines, ""])


@dataclass(frozen=True)
class _Writer:
    """`names`: whether each name so far is a vector, shared by all writers of a program; `here`: the kind that an
    `at` or `scan` says; `over`: the kind that a read ranges over, with index j."""

    random: Random
    head: Head
    names: dict[str, bool] = field(default_factory=dict)
    here: str | None = None
    over: str | None = None

    def block(self, count: int, indent: int, allowed: frozenset[str]) -> list[str]:
        lines: list[str] = []
        for _ in range(count):
            which = self.random.choice(["assign", "assign", "at", "repeat", "scan"])
            kind = self.random.choice(self.head.kinds)
            inner, inside = self.random.randint(1, 2), allowed - {which}
            if which == "at" and which in allowed:
                body = replace(self, here=kind).block(inner, indent + 1, inside - {"scan"})
                lines += ["    " * indent + f"at {kind}", *body]
            elif which == "repeat" and which in allowed:
                nested = allowed if indent == 0 else inside
                body = self.block(inner, indent + 1, nested - {"scan"})
                lines += ["    " * indent + f"repeat {self.random.randint(1, 3)}", *body]
            elif which == "scan" and which in allowed:
                body = replace(self, here=kind).block(inner, indent + 1, inside - {"at"})
                lines += ["    " * indent + f"scan {kind} up to 20", *body]
            else:
                lines.append("    " * indent + self.assign())
        return lines

    def assign(self) -> str:
        vector = self.random.random() < 0.6
        name = self.random.choice(["p", "q", "r"] if vector else ["s", "t"])
        known = [other for other, is_vector in self.names.items() if is_vector == vector]
        value = self.expression(self.random.randint(1, 3), vector)
        if self.random.random() < 0.15:
            source = self.random.choice(["previous", f"first {self.random.choice(self.head.kinds)}"])
            value = f"move {self.random.choice(known)} from {source}"
        self.names[name] = vector
        return f"{name} : {'vector[d]' if vector else 'scalar'} = {value}"

    def leaf(self, vector: bool) -> str:
        names = [name for name, is_vector in self.names.items() if is_vector == vector]
        homes = self.head.homes
        if self.over is not None and self.random.random() < 0.5:
            theirs = [name for name in names if self.over in homes.get(name, (self.over,))]
            if theirs:
                return f"{self.random.choice(theirs)}[j]"
        mine = [name for name in names if name not in homes or self.here in homes[name]]
        if not mine or self.random.random() < 0.2:
            return self.random.choice(["[1, 2]", "[-0.5, 0.5]"] if vector else ["0.5", "2"])
        return self.random.choice(mine)

    def expression(self, depth: int, vector: bool) -> str:
        if depth == 0 or self.random.random() < 0.15:
            return self.leaf(vector)

        def part(of_vector: bool) -> str:
            return self.expression(depth - 1, of_vector)

        forms = [
            lambda: f"({part(vector)} {self.random.choice('+-*')} {part(vector)})",
            lambda: f"({part(False)} * {part(vector)})",
            lambda: f"{self.random.choice(['tanh', 'relu', 'abs', 'sigmoid'])}({part(vector)})",
            lambda: f"max({part(vector)}, {part(vector)})",
            lambda: f"({part(vector)} ^ {self.random.randint(1, 3)})",
            lambda: f"({part(vector)} / (1 + {part(False)} ^ 2))",
            lambda: f"({part(vector)} < {part(vector)})",
        ]
        if not vector:
            forms += [lambda: f"dot({part(True)}, {part(True)})", lambda: f"sum({part(True)})"]
        else:
            forms += [lambda: f"softmax({part(True)})", lambda: f"({part(True)} / (1 + {part(True)} ^ 2))"]
        if self.over is None:
            forms += 3 * [lambda: self.read(depth, vector)]
        return self.random.choice(forms)()

    def read(self, depth: int, vector: bool) -> str:
        over = self.random.choice(self.head.kinds)
        inside = replace(self, over=over)
        value = inside.expression(depth - 1, vector)
        if self.random.random() < 0.2:
            return f"softmax[j in {over}]({inside.expression(depth - 1, False)}, {value})"
        return f"{self.random.choice(['mean', 'sum'])}[j in {over}]({value})"


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
