"""`innerloop show`: the graph between passes, what lowering gives, and passes left out."""

from __future__ import annotations

import pytest
from innerloop.compiler.passes import PASSES
from innerloop.compiler.transforms.canonicalize import LAW_NAMES

from tests.support.commands import SMALL, Command, Outcome

GPT2 = ("matches", "quotients", "simplify", "counts", "statistics", "legalise", "components", "constant_steps", "peel",
        "unread", "invariant", "divide_factor", "keep", "pack_symmetric", "head_start", "pair_moves",
        "tighten")  # fmt: skip
"""What is run for SMALL: it reads by statistics, and carries no products."""


def printed(innerloop: Command, *arguments: str) -> str:
    outcome = innerloop("show", *SMALL, *arguments)
    assert (outcome.status, outcome.err) == (0, "")
    return outcome.out


def test_the_help_lists_the_passes_in_order(innerloop: Command) -> None:
    lines = innerloop("show", "--help").out.splitlines()
    rows = [line.split()[0].rstrip("*") for line in lines if line.startswith("  ") and line.split()]
    listed = [row for row in rows if row in {*LAW_NAMES, *(p.name for p in PASSES)}]
    assert listed == [*(p.name for p in PASSES), *LAW_NAMES]


def test_the_first_stage_and_the_last_pass_are_what_stages_print(innerloop: Command) -> None:
    assert printed(innerloop, "--after", "tighten") == printed(innerloop, "--stage", "graph")
    built = printed(innerloop, "--stage", "built")
    assert built not in (printed(innerloop, "--after", name) for name in ("quotients", "statistics", "tighten"))


@pytest.mark.parametrize("name", GPT2)
def test_every_pass_that_is_run_can_be_printed(innerloop: Command, name: str) -> None:
    assert printed(innerloop, "--after", name).startswith("stochastic_gradient_descent(")


def test_a_pass_left_out_leaves_another_graph(innerloop: Command) -> None:
    whole = printed(innerloop, "--stage", "graph")
    less = printed(innerloop, "--stage", "graph", "--without", "head_start")
    least = printed(innerloop, "--stage", "graph", "--without", "head_start", "--without", "hoist")
    assert len({whole, less, least}) == 3


def test_instructions_are_those_of_the_schedule_without_its_sublayers(innerloop: Command) -> None:
    lines = printed(innerloop, "--stage", "instructions").splitlines()
    schedule = printed(innerloop, "--stage", "schedule")
    assert lines[-1] == schedule.splitlines()[-1]
    made = [line.split(" = ")[1] for line in lines[:-1] if " = " in line]
    assert len(made) >= 5
    assert all(what in schedule for what in made)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--after", "pel"], "there is no pass `pel`; did you mean `peel`?"),
        (["--after", "fold"], "there is no pass `fold`"),
        (["--after", "unroll"], f"pass `unroll` is not run for this program on gpt2; what is run is {', '.join(GPT2)}"),
        (["--after", "peel", "--without", "peel"], "pass `peel` is not run for this program"),
        (["--stage", "graph", "--without", "hoits"], "there is no pass or law `hoits`; did you mean `hoist`?"),
        (["--stage", "graph", "--without", "legalise"], "pass `legalise` cannot be left out"),
        (["--stage", "core", "--without", "peel"], "stage `core` stands before all passes"),
    ],
)
def test_a_pass_that_is_not_there_is_told(innerloop: Command, arguments: list[str], said: str) -> None:
    outcome = innerloop("show", *SMALL, *arguments)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith(f"innerloop: error: {said}")
    assert outcome.err.count("\n") == 1


def test_a_stage_or_a_pass_and_not_both(innerloop: Command) -> None:
    outcome = innerloop("show", *SMALL, "--stage", "graph", "--after", "peel")
    assert outcome == Outcome(2, "", outcome.err)
    assert "not allowed with argument" in outcome.err
