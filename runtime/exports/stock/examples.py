"""The examples in the README of an exported folder: how a stock library runs the model, reads variables, changes them.

before   what a library's code looks like (`Example`), and layout.json's entries
after    lines of Python that run in the folder as they stand
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Any

_ORDER = ("ended", "after", "value", "begins")
"""What the example shows of a program, if it can."""

_LAYOUT = '''
import json

layout, matrices = json.load(open("layout.json")), load_file("layout.safetensors")

def run(edit):
    """The output where `edit(point, stream)` is added to the stream [tasks, tokens, width] at every point."""
{hooked}
    return output[:, rows]

def where(name, point, token):
    """What layout.json says of a variable that is held at this point and token: its place, and when it is held."""
    (variable,) = [v for v in layout["variables"] if v["name"] == name]
    return next(
        (place, held) for place in variable["places"] for held in place["held"]
        if point in held["points"] and roles[token] in place["roles"]
    )

def patched(name, value, point, token):
    """The output where what stands there is `value` [tasks, size], and all that reads it later follows."""
    place, held = where(name, point, token)
    write = next(w for w in place["write"] if roles[token] in w["roles"])
    number = sum(role.item() in place["roles"] for role in roles[:token])  # among the tokens that hold it
    assert number >= write["from"], "what reads it is not told apart from what is read there"
    points = [held["write"]]
    if held["turn"] is not None:  # a scan computes it again in every pass: all those from this token's turn on
        points = [h["write"] for h in place["held"] if h["turn"] >= number]
    read, into = matrices[place["read"]], matrices[write["matrix"]]

    def edit(point, stream):
        change = torch.zeros_like(stream)
        if point in points:
            change[:, token] = (value - stream[:, token] @ read) @ into
        return change

    return run(edit)
'''

_USE = """
streams = {{}}

def look(point, stream):
    streams[point] = stream
    return torch.zeros_like(stream)

plain = run(look)
place, _ = where("{name}", "{point}", {token})
value = streams["{point}"][:, {token}] @ matrices[place["read"]]
print("{name} of the first task:", value[0].tolist())
other = patched("{name}", value.roll(1, 0), "{point}", {token})  # the values of other tasks
none = patched("{name}", 0 * value, "{point}", {token})
print("the output moves by", (other - plain).abs().max().item(), "and, ablated, by", (none - plain).abs().max().item())
"""


@dataclass(frozen=True)
class Example:
    """A library's code: what loads `model`, with {dtype}; what makes `output` of `features`; what makes it inside of
    `run(edit)`; what makes `gradient` of it; and more lines on what is safe."""

    load: str
    run: str
    hooked: str
    gradients: str = ""
    notes: tuple[str, ...] = ()


_RUN = """\
stream = model(inputs_embeds=features @ interface["embedding"]).last_hidden_state
output = stream @ interface["readout"] + interface["readout_bias"]
"""
_HOOKED = """\
inside, hooks = {{}}, []

def enter(block, args, n):
    inside[n] = args[0] + edit("embedding", args[0]) if n == 0 else args[0]
    return inside[n], *args[1:]

def attended(part, args, out, n):
    return out[0] + edit(f"attention.{{n}}", inside[n] + out[0]), *out[1:]

for n, block in enumerate(model.{blocks}):
    hooks.append(block.register_forward_pre_hook(lambda *a, n=n: enter(*a, n)))
    hooks.append(block.{attention}.register_forward_hook(lambda *a, n=n: attended(*a, n)))
    hooks.append(block.register_forward_hook(lambda _, args, out, n=n: out + edit(f"mlp.{{n}}", out)))
with torch.no_grad():
{run}
for hook in hooks:
    hook.remove()"""


_GRADIENTS = """
import json

keep = torch.ones(len(roles), interface["embedding"].shape[1], dtype=interface["embedding"].dtype)
keep[:, json.load(open("layout.json"))["constant"]] = 0
keep[0] = 0  # the rest token

def cut(block, args, out):
    out.register_hook(lambda gradient: gradient * keep)

def identity(norm, given, made):
    return (made[0] * keep,)

hooks = [block.register_forward_hook(cut) for block in model.{blocks}]
norms = [part for part in model.modules() if "Norm" in type(part).__name__]
hooks += [norm.register_full_backward_hook(identity) for norm in norms if norm.weight[0] == norms[-1].weight[0]]
given = features.clone().requires_grad_()
{run}
(gradient,) = torch.autograd.grad(output[:, rows][:, -1].sum(), given)  # of the last output, by every feature
for hook in hooks:
    hook.remove()
print("the largest gradient:", gradient[:, {where}].abs().max().item())
{slope}"""
_SLOPE = """\
slope = torch.zeros(len(features), dtype=features.dtype)
{along}off = (slope - tasks["slope"]).abs().max().item()
print("largest difference from the oracle's slopes:", off, "of", tasks["slope"].abs().max().item())
"""
_ALONG = """
The last lines hold them against the oracle: `slope` is how the last output of each task changes along `direction`, a
change of all its numbers, and what the gradient makes of that is printed beside. Look at it before you build on single
entries: where a program divides what rounding left by what rounding left, as conjugate gradients do once they have
converged, no gradient in this precision is the program's.
"""


def transformers_example(model: str, blocks: str, attention: str) -> Example:
    """Of a model class of transformers, its blocks and their attention by name."""
    load = f"""\
from transformers import {model}

model = {model}.from_pretrained(".", dtype=torch.{{dtype}}).eval()
"""
    hooked = _HOOKED.format(blocks=blocks, attention=attention, run=indent(_RUN.rstrip(), "    "))
    gradients = _GRADIENTS.replace("{blocks}", blocks).replace("{run}", _RUN.replace("features", "given").rstrip())
    return Example(load, _RUN, hooked, gradients)


def gradients(example: Example, where: str, moving: Sequence[tuple[str, str]]) -> str:
    """The README's part on gradients; `where` the features of a field stand: their tokens, and their columns; the same
    of each field, by name, that has a direction in tasks.safetensors."""
    along = "".join(f'slope += (gradient[:, {at}] * tasks["direction.{name}"]).sum((1, 2))\n' for name, at in moving)
    code = example.gradients.replace("{where}", where).replace("{slope}", _SLOPE.format(along=along) * bool(along))
    return f"""
## Gradients

Cut them at what holds the same whatever the data, the rest token and the slots that are `constant` in `layout.json`,
and take norms for what they are: those whose gain is the last one's are the identity, the others divide. The gradient
by the data is the same, and finite. As it comes, what runs down there may grow until all is NaN, and a norm's own
gradient rounds at the size of what is largest, which each division multiplies. Going on from the first example:

```python{code}```
{_ALONG * bool(along)}""" * bool(example.gradients)


def patching(example: Example, layout: dict[str, Any], roles: tuple[int, ...]) -> str:
    """The README's part on reading, patching and ablating; nothing where no variable can be changed."""
    shown = _shown(layout, roles)
    if shown is None:
        return ""
    name, point, token = shown
    code = _LAYOUT.format(hooked=indent(example.hooked, "    ")) + _USE.format(name=name, point=point, token=token)
    return f"""
## Variables: reading, patching, ablating

`layout.json` says where the stream holds the program's variables and how to change them so that all that reads them
later follows, as it does in the program; each write in it was measured against the float64 interpreter with that
variable changed. Tokens count from the rest token, which is 0. Going on from above:

```python{code}```
"""


def _shown(layout: dict[str, Any], roles: tuple[int, ...]) -> tuple[str, str, int] | None:
    """A variable, a point and a token."""
    found = []
    for variable in layout["variables"]:
        for place in variable["places"]:
            for write in place["write"]:
                tokens = [t for t, role in enumerate(roles) if role in write["roles"]]
                held = [h for h in place["held"] if h["write"] is not None]
                scan = held[-1]["turn"] is not None
                tokens = tokens[write["from"] : len(tokens) - scan] or tokens[write["from"] :]
                if tokens:
                    found.append((_ORDER.index(place["when"]), variable["name"], held[-1]["points"][0], tokens[-1]))
    return min(found, key=lambda each: each[0])[1:] if found else None
