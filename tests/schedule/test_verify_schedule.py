"""Verification of schedules and slots: sound ones pass, and each way to break one is named, with pass and value."""

from __future__ import annotations

from dataclasses import replace

import pytest
from innerloop.artifact.errors import InternalError
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, compile_program
from innerloop.compiler import finish as passes
from innerloop.compiler.schedule.allocate import Allocation, Lifetime, allocate, verify
from innerloop.compiler.schedule.instructions import Atom
from innerloop.compiler.schedule.sublayers import Schedule, SublayerPlan
from innerloop.compiler.schedule.verify_schedule import verify_schedule
from innerloop.programs import load

from tests.support.broken_schedules import LOG, log_moved, move, sublayers, where
from tests.support.placed import DIVIDED, TWICE, atom, placed

LATE = """program late_reader()

tokens (s)*
    s : scalar in [-1, 1]

c = s ^ 2
w : scalar = 0
repeat 3
    q = tanh(w + s)
    w = 0.5 * w + 0.1 * tanh(w + q) + 0.1 * c
output w
"""
SCAN = load("stochastic_gradient_descent")


@pytest.mark.parametrize("text", [LOG, LATE, DIVIDED, TWICE])
@pytest.mark.parametrize("target", ["gpt2", "gelu", "llama", "neox"])
def test_what_the_compiler_places_is_sound(text: str, target: TargetName) -> None:
    verify_schedule(*placed(text, target))


def test_an_mlp_that_reads_what_attention_of_its_layer_makes() -> None:
    """Where both read the same stream it is there for the next layer only: a serial schedule is refused."""
    assert sublayer_after_the_mean("gpt2") == 1
    assert sublayer_after_the_mean("neox") == 3
    made, _ = placed(TWICE, "neox")
    time, square = where(made, lambda p: p.instruction.side == "mlp")
    move(made, square, time - 2)
    with pytest.raises(InternalError, match=r"sublayer 1 \(mlp\) reads `v` at s, whose slots hold"):
        verify_schedule(made, allocate(made))


def sublayer_after_the_mean(target: TargetName) -> int:
    return where(placed(TWICE, target)[0], lambda p: p.instruction.side == "mlp")[0]


def test_an_mlp_beside_a_division_stays_idle() -> None:
    made, slots = placed(TWICE, "neox")
    divided = next(t for t, s in enumerate(sublayers(made)) if s.division is not None)
    assert made.after_divisions() >= {divided + 2, divided + 4}
    sublayers(made)[divided + 1].prepares = sublayers(made)[divided - 1].prepares
    with pytest.raises(InternalError, match=rf"schedule: sublayer {divided + 1} \(mlp\) reads what is divided"):
        verify_schedule(made, slots)


def test_a_task_moved_past_an_update() -> None:
    made = log_moved(placed(LOG)[0])
    with pytest.raises(
        InternalError, match=r"schedule: sublayer \d+ \(mlp\) reads `v.*` at s, whose slots hold `v.*`, changed"
    ):
        verify_schedule(made, allocate(made))


def test_compile_names_it_as_its_own_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "balance", log_moved)
    with pytest.raises(
        CompileError, match=r"program: error: fault of the compiler: schedule: sublayer .* changed already"
    ):
        compile_program(LOG, calibration={"s": [[[0.0, 1.0], [-1.0, 2.0]]]})


def test_an_update_moved_before_a_reader() -> None:
    made, _ = placed(LATE)
    state = next(s.atom for s in next(s for s in made.body if not isinstance(s, SublayerPlan)).states)
    time, update = where(made, lambda p: not p.makes and p.instruction.out == state)
    move(made, update, time - 2)
    with pytest.raises(
        InternalError, match=r"schedule: sublayer .* reads `w.*`.* whose slots hold `w.*`, changed already"
    ):
        verify_schedule(made, allocate(made))


def test_a_reader_before_what_it_reads() -> None:
    made, slots = placed(TWICE)
    time, mean = where(made, lambda p: p.instruction.side == "attention")
    move(made, mean, time + 2)
    with pytest.raises(InternalError, match=r"schedule: sublayer .* reads `v`.* whose slots hold nothing"):
        verify_schedule(made, slots)


def test_a_task_that_is_lost_or_stands_twice() -> None:
    made, slots = placed(TWICE)
    time, mean = where(made, lambda p: p.instruction.side == "attention")
    sublayers(made)[time].placed = []
    with pytest.raises(InternalError, match="what makes `v` does not stand once"):
        verify_schedule(made, slots)
    sublayers(made)[time].placed = [mean, mean]
    with pytest.raises(InternalError, match="what makes `v` does not stand once"):
        verify_schedule(made, slots)


def test_a_write_that_is_lost() -> None:
    made, slots = placed(LATE)
    _, writer = where(made, lambda p: bool(p.writes))
    writer.writes.pop()
    with pytest.raises(InternalError, match=r"what is written to `w.*` is not its start or its change"):
        verify_schedule(made, slots)


# Slots -------------------------------------------------------------------------------------------


def test_two_values_in_one_slot() -> None:
    """Of every pair that lives at once."""
    made, slots = placed(DIVIDED)
    found = 0
    for one, life in slots.lifetimes.items():
        for two, other in slots.lifetimes.items():
            size = made.instructions.atoms[one].size
            if one == two or size != made.instructions.atoms[two].size or not life.birth < other.birth < life.last:
                continue
            overlapping = replace(slots, slots={**slots.slots, two: slots.slots[one]})
            with pytest.raises(InternalError, match=r"allocate: sublayer|allocate: the whole"):
                verify_schedule(made, overlapping)
            found += 1
    assert found


def test_lifetimes_that_overlap_by_one_stage() -> None:
    """A slot may be filled in the sublayer that empties it, and not in the one before."""
    _, slots = placed(TWICE)
    one, two = list(slots.slots)[:2]
    for birth, sound in ((3, True), (2, False)):
        lives = {one: Lifetime(0, 2, 3, False), two: Lifetime(birth, 5, None, False)}
        both = replace(slots, slots=dict.fromkeys((one, two), slots.slots[one]), lifetimes=lives)
        if sound:
            verify(both)
        else:
            with pytest.raises(InternalError, match="holds two values"):
                verify(both)


def cleared(text: str, late: bool) -> tuple[Schedule, Allocation, Atom, int]:
    """A value that a sublayer empties which may be emptied a sublayer earlier, or later."""
    made, slots = placed(text)
    for time, atoms in slots.clears.items():
        for one in atoms:
            if slots.lifetimes[one].last == time or late:
                return made, slots, one, time
    raise AssertionError(text)


def test_a_slot_emptied_before_its_last_reader() -> None:
    made, slots, one, time = cleared(LOG, late=False)
    clears = {t: tuple(a for a in atoms if a != one) for t, atoms in slots.clears.items()}
    clears[time - 1] = (*clears.get(time - 1, ()), one)
    with pytest.raises(InternalError, match=r"allocate: sublayer .* whose slots hold|cannot clear"):
        verify_schedule(made, replace(slots, clears=clears))


def test_a_loop_that_leaves_a_value_in_its_slots() -> None:
    made, slots = placed(LATE)
    inside = next(a for a, life in slots.lifetimes.items() if life.inside)
    clears = {t: tuple(a for a in atoms if a != inside) for t, atoms in slots.clears.items()}
    with pytest.raises(InternalError, match=r"allocate: .* leaves .* in slots where it found|whose slots hold"):
        verify_schedule(made, replace(slots, clears=clears))


def test_a_value_that_the_rest_token_holds() -> None:
    """A head that finds nobody reads the rest token, and must read 0 there."""
    made, slots = placed(TWICE)
    s = atom(made, "s")
    atoms = [replace(info, rests=info.rests or a == s) for a, info in enumerate(made.instructions.atoms)]
    resting = replace(made, instructions=replace(made.instructions, atoms=tuple(atoms)))
    with pytest.raises(InternalError, match="reads `s`, which the rest token holds, too"):
        verify_schedule(resting, slots)


def test_a_scan_s_state_read_before_its_pass_moves_it() -> None:
    made, slots = placed(SCAN, d=2, examples=4)
    verify_schedule(made, slots)
    head = next(sublayer for sublayer in sublayers(made) if sublayer.carry is not None)
    head.carry = None
    with pytest.raises(InternalError, match=r"schedule: .* reads `w.*` at y, whose slots hold `w.*`, not moved yet"):
        verify_schedule(made, slots)


# Divisions ---------------------------------------------------------------------------------------


# What it found -----------------------------------------------------------------------------------
