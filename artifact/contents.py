"""What a compiled transformer holds: its matrices, with everything that is needed to run, read and trust it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Self

from .arrays import Floats
from .claims import Domain, InputRange, Layout, Placement, Report, shape
from .counting import numbers
from .displayed import Displayed, Sheet
from .errors import counted
from .outputs import OutputSpec
from .parts import Body, Config, Norm, Sublayer, stored, unroll, without_turns
from .signature import Kinds, Signature
from .sparse import Matrix


def brief(value: object) -> str:
    """A parameter; of an array the shape."""
    return f"{value:g}" if isinstance(value, int | float) else f"array{list(getattr(value, 'shape', ()))}"


@dataclass(frozen=True, repr=False)
class Contents(Displayed):
    """A token's features are its role (one-hot over `roles`), then the components of every field in
    the signature's order, zero where the token does not hold it. stream = features @ embedding +
    positions[position]; output = norm(stream) @ readout + readout_bias.

    The first token is a rest for empty reads: it holds no field, and stands before those of the data.
    """

    config: Config
    signature: Signature
    roles: tuple[str, ...]
    """"rest", then one for each place of the pattern: prefix, group, suffix; see `tokens.py`."""
    embedding: Matrix
    positions: Floats
    body: Body
    final_norm: Norm | None
    readout: Matrix
    readout_bias: Floats
    output: OutputSpec
    layout: tuple[Placement, ...]
    inputs: tuple[InputRange, ...]
    report: Report = field(repr=False)
    domains: tuple[Domain, ...] = field(default=(), repr=False)
    """Of weights that were saved before there were any, none."""
    live: tuple[Kinds, ...] = field(default=(), repr=False)
    """For each stored sublayer, the kinds of token at which it has to run for the outputs: what it does at others, a
    trace shows and nothing else reads. Of none at all, everywhere."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", Layout(self.layout))

    def _sheet(self) -> Sheet:
        config, signature = self.config, self.signature
        fields = ", ".join(f"{f.name} {shape(f.shape)} at {', '.join(f.kinds)}" for f in signature.fields)
        parameters = ", ".join(f"{name} = {brief(value)}" for name, value in signature.parameters.items())
        gives = ", ".join(f"{a.name} {shape(a.shape)}" for a in self.output.answers) or shape(self.output.shape)
        names = ", ".join(dict.fromkeys(p.name for p in self.layout)) or "nothing by name"
        rows = (
            ("tokens", str(signature.pattern)),
            ("takes", fields),
            ("gives", f"{gives} at {', '.join(sorted(self.output.kinds))}"),
            ("parameters", parameters or "none"),
            ("target", f"{config.target}, {config.dtype}; {counted(config.n_layer, 'layer')} of width "
                       f"{config.d_model}, {counted(config.n_head, 'head')} each"),
            ("holds", names),
        )  # fmt: skip
        return Sheet(f"{type(self).__name__} of {signature.name}", rows + self.report.lines()[2:])

    def bare(self) -> Self:
        """The same numbers without what is said of them: for those who change them, or their order."""
        return replace(self, body=without_turns(self.body), layout=(), domains=(), live=())

    def sublayers(self) -> Iterator[Sublayer]:
        """The stored sublayers in the order of the tree, a loop's body once."""
        return stored(self.body)

    def unrolled(self) -> Iterator[tuple[int, Sublayer]]:
        """Every sublayer that runs, in order, with its number among the stored ones."""
        return iter(unroll(self.body)[0])

    def numbers(self) -> tuple[int, int]:
        """The parameters, and how many of them are not 0 (counting.py): the report's, of any weights."""
        return numbers(self.config, self.embedding, self.positions, self.final_norm, self.readout, self.body)
