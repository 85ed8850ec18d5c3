"""Instructions, schedules, layouts and reports as text: deterministic, for `show`, golden tests and debugging."""

from __future__ import annotations

from innerloop.artifact.arrays import Indices
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights

from ..architectures.relation import Relation
from .allocate import Allocation
from .instructions import (
    ROLES,
    Apply,
    AttendHead,
    Block,
    Copy,
    DeltaHead,
    Instruction,
    Instructions,
    Linear,
    LinearForm,
    Mean,
    Multiply,
    Quotient,
    SwitchHead,
)
from .sublayers import Carry, LoopPlan, Placed, Schedule, SublayerPlan


def format_instructions(instructions: Instructions) -> str:
    """A line an instruction, in the order of the graph; a loop's body, and then what each pass adds to its states."""
    lines: list[str] = []
    _block(instructions.block, instructions, "", lines)
    lines.append(f"output = {format_form(instructions.output, instructions)}")
    return "\n".join(lines)


def _block(block: Block, instructions: Instructions, indent: str, lines: list[str]) -> None:
    inside = f"{indent}    "
    for item in block:
        if isinstance(item, Instruction):
            lines.append(f"{indent}{instructions.atoms[item.out].label} = {_made(item, instructions)}")
            continue
        lines.append(f"{indent}{'repeat' if item.carry is None else 'scan, up to'} {item.count}")
        labels = [instructions.atoms[state.atom].label for state in item.states]
        if item.carry is not None:
            lines.append(f"{inside}{_carried(labels, item.carry)}")
        _block(item.body, instructions, inside, lines)
        changes = [format_form(state.change, instructions) for state in item.states]
        lines.extend(f"{inside}{label} += {change}" for label, change in zip(labels, changes, strict=True))


def _carried(labels: list[str], relation: Relation) -> str:
    return f"{', '.join(labels)} from the {relation.kind} {relation.name}"


def carried(carry: Carry, instructions: Instructions) -> str:
    """`w, P from the y before`."""
    return _carried([instructions.atoms[a].label for a in carry.atoms], carry.relation)


def format_schedule(schedule: Schedule) -> str:
    """A line a sublayer: its number, its side, and what it makes."""
    lines = [f"{schedule.length // 2} layers"]
    _lines(schedule.body, schedule.instructions, 0, "", lines)
    lines.append(f"output = {format_form(schedule.instructions.output, schedule.instructions)}")
    return "\n".join(lines)


def _lines(
    body: list[SublayerPlan | LoopPlan], instructions: Instructions, number: int, indent: str, lines: list[str]
) -> int:
    for item in body:
        if isinstance(item, LoopPlan):
            lines.append(f"{indent}{'scan, up to' if item.scan else 'repeat'} {item.count}")
            number = _lines(item.body, instructions, number, indent + "    ", lines)
            continue
        work = format_work(item, instructions)
        lines.append(f"{indent}{number:3d} {item.side:9s} {work[0] if work else '–'}")
        lines.extend(f"{indent}{'':13s} {line}" for line in work[1:])
        number += 1
    return number


def format_work(sublayer: SublayerPlan, instructions: Instructions) -> list[str]:
    """What a sublayer does, a line each."""
    lines = []
    if sublayer.carry is not None:
        lines.append(carried(sublayer.carry, instructions))
    if sublayer.division is not None:
        lines.append(f"the norm divides by {format_form(sublayer.division, instructions)}")
    for placed in sublayer.placed:
        lines.append(_instruction(placed, instructions))
    if sublayer.prepares is not None:
        lines.append("the divisor takes the place of the norm's constants, for the next sublayer's norm to divide by")
    if sublayer.clears is not None:
        lines.append("the divisor is taken out again")
    return lines


def _instruction(placed: Placed, instructions: Instructions) -> str:
    """What it makes, and what it adds to the states of loops."""
    into = [f"{instructions.atoms[w.atom].label} += {_times(w.matrix)}" for w in placed.writes]
    what = _made(placed.instruction, instructions)
    label = instructions.atoms[placed.instruction.out].label
    head = f"{label} = {what}" if not isinstance(placed.instruction.op, Linear) or not into else what
    return head + (f"   → {'; '.join(into)}" if into else "")


def _made(instruction: Instruction, instructions: Instructions) -> str:
    reads = [format_form(f, instructions) for f in instruction.reads]
    match instruction.op:
        case Copy(relation):
            what = f"{reads[0]} from {relation.name}{' ' + relation.kind if relation.kind else ''}"
        case Mean(over, sums):
            what = f"{'sum' if sums else 'mean'} over {over} of {reads[0]}"
        case AttendHead("softmax", over, reach, rest):
            what = f"softmax over {over} of ({reads[0]}) · ({reads[1]}), up to {reach:.4g}, for {reads[2]}"
            what += "" if rest is None else f", beside 0 with {rest:.4g}"
        case AttendHead("exp", over, reach):
            what = f"exp over {over} of ({reads[0]}) · ({reads[1]}), up to {reach:.4g}, times {reads[2]}"
        case AttendHead(how, over, reach):
            what = f"{how} over {over} of (({reads[0]}) · ({reads[1]})) ({reads[2]}), scores up to {reach:.4g}"
        case DeltaHead(over, _, divisor, back):
            key, stored = (f"{r}{f', {b} before' if b else ''}" for r, b in zip(reads[1:3], back, strict=True))
            below = f" / ({divisor[0]:g} + {divisor[1]:g} |key|²)" if divisor[1] else ""
            gate = f", forgetting {reads[4]}" if reads[4] != "0" else ""
            by = f"key ({key}), value ({stored}), rate {reads[3]}{below}{gate}"
            what = f"delta rule over {', '.join(sorted(over))} of {by}, read by {reads[0]}"
        case SwitchHead(strict, _, bounds, _):
            what = f"{reads[0]} where {reads[1]} {'>' if strict else '>='} 0, of up to {max(bounds):.4g}"
        case Multiply(form, code=int(code)):
            what = f"({reads[1 - code]}) where ({reads[code]}) is 0, {form.out.size} products"
        case Multiply(form):
            what = f"({reads[0]}) × ({reads[1]}), {form.out.size} products"
        case Apply(name, _, low, high):
            what = f"{name}({reads[0]}) on [{low.min():.4g}, {high.max():.4g}]"
        case Quotient():
            what = f"({reads[0]}) / ({reads[1]})"
        case Linear():
            what = reads[0]
    return what


def _times(matrix: Matrix) -> str:
    scale = matrix.scalar()
    if scale == 1.0:
        return "it"
    return f"{scale:.6g} · it" if scale is not None else f"[{matrix.shape[0]}×{matrix.shape[1]}] @ it"


def format_form(form: LinearForm, instructions: Instructions) -> str:
    """`w − 0.1 b + constant`, matrices by their shape."""
    if not form.parts:
        return "0"
    parts = []
    for atom, matrix in form.parts:
        label = "constant" if atom == ROLES else instructions.atoms[atom].label
        scale = matrix.scalar() if atom != ROLES else 1.0
        if scale is None:
            parts.append(f"+ [{matrix.shape[0]}×{matrix.shape[1]}] {label}")
        elif abs(scale) == 1.0:
            parts.append(f"{'+' if scale > 0 else '−'} {label}")
        else:
            parts.append(f"{'+' if scale > 0 else '−'} {abs(scale):.6g} {label}")
    return " ".join(parts).removeprefix("+ ")


def format_layout(schedule: Schedule, allocation: Allocation) -> str:
    """Every atom's slots, numbered from the first that an atom has, and its life in sublayers."""
    lines = [
        f"{allocation.used} slots; {allocation.live} live at most",
        f"{'value':14s} {'size':>4s}  {'slots':18s} {'born':>5s} {'read':>5s} {'freed':>5s}",
    ]
    cleared = {a for atoms in allocation.clears.values() for a in atoms}
    for atom, slots in sorted(
        allocation.slots.items(), key=lambda item: (allocation.lifetimes[item[0]].birth, item[0])
    ):
        life = allocation.lifetimes[atom]
        born = "input" if life.birth < 0 else str(life.birth)
        freed = str(life.clear) if atom in cleared and life.clear is not None else "–"
        info = schedule.instructions.atoms[atom]
        lines.append(f"{info.label:14s} {info.size:4d}  {_runs(slots):18s} {born:>5s} {life.last:5d} {freed:>5s}")
    return "\n".join(lines)


def _runs(slots: Indices) -> str:
    """4–11, 20, 22–24."""
    runs: list[list[int]] = []
    for slot in sorted(slots.tolist()):
        if runs and slot == runs[-1][1] + 1:
            runs[-1][1] = slot
        else:
            runs.append([slot, slot])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in runs)


def format_report(weights: Weights) -> str:
    """What was built and how exact it is, a line each."""
    report, config = weights.report, weights.config
    parameters = ", ".join(f"{k} = {_value(v)}" for k, v in weights.signature.parameters.items())
    rows = [
        (
            "program",
            f"{weights.signature.name}({parameters})",
        ),
        ("target", f"{config.target}, {config.dtype}"),
        ("layers", f"{report.layers}, critical path {report.critical_path}"),
        ("width", f"{config.d_model} = {config.n_head} heads × {config.d_head}"),
        ("slots", f"{report.slots}, {report.live} live at most"),
        ("neurons, heads", f"{report.neurons}, {report.heads} stored; widest MLP {config.d_mlp}"),
        ("nonzeros", f"{report.nonzeros:,} of {report.parameters:,} stored parameters"),
        ("positions", f"{config.n_positions}"),
    ]
    for one in report.each:
        errors = f"largest {one.measured_error:.3g} on {report.tasks} tasks, predicted {one.predicted_error:.3g}"
        rows.append((f"error {one.name}".rstrip(), f"{errors}; output rms {one.output_rms:.3g}"))
    rows += certificate_rows(weights)
    return "\n".join(f"{name:16s} {text}" for name, text in rows)


def certificate_rows(weights: Weights) -> list[tuple[str, str]]:
    """What the errors hold for, and the range of every field: (heading, text)."""
    made = weights.report.certificate
    seen = {} if made is None else {r.name: f"; measured on [{r.low:.6g}, {r.high:.6g}]" for r in made.seen}
    ranges = [(f"range of {r.name}", f"[{r.low:.6g}, {r.high:.6g}]{seen.get(r.name, '')}") for r in weights.inputs]
    if made is None:
        return [("measured on", "not recorded: saved before weights carried a certificate"), *ranges]
    rows = [
        ("measured on", made.measured_on + (f", seed {made.seed}" if made.seed is not None else "")),
        ("ranges from", made.calibrated),
    ]
    if made.tolerance is not None:
        rows.append(("tolerance", f"{made.tolerance:g}"))
    return rows + ranges


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else "array"
