"""Safety constants and exclusions are defended: each of these one-line mutants fails the quick tests that it names.

A mutant whose text is gone, or whose tests do not run its file, fails here, so that the list stays true.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fork_server import ROOT
from tests.support.mutation import KILLED, SURVIVED, Mutant, mutated, outcome

QUICK = "tests/frontend/test_functions.py::test_the_reference_knows_exactly_the_functions_of_the_language"
COMPARED = "'tests/numerics/test_comparisons.py::test_a_comparison_is_exactly_0_or_1_at_ties_too[x < 0.5-gpt2-float32]'"
READ = "tests/transforms/test_softmax_reads.py::test_scores_near_0_read_members_alone[gpt2]"
MEAN = "tests/numerics/test_constructions.py -k 'members_alone and gpt2'"
COMPILED = "tests/whole/test_compile.py::test_every_program_compiles[{}]"
RANGES = "tests/certify/test_families.py::test_ranges_have_a_margin_and_divisors_one_on_both_sides"
FACTORS = "tests/certify/test_domains.py -k both_watched"
LLAMA = "tests/whole/test_llama.py::test_every_shipped_program_compiles_to_a_llama[gd_plus-float32]"

MUTANTS = (
    # what functions mean
    Mutant(
        "compiler/numerics/functions.py",
        'PointwiseFunction("sin", lambda x: np.sin(x), "cos(v)"),',
        'PointwiseFunction("sin", lambda x: np.sin(x), "cos(v)"), PointwiseFunction("cube", lambda x: x**3, "v"),',
        QUICK,
    ),
    # who attends to whom
    Mutant(
        "compiler/emit/learned_heads.py",
        "LEARNED_GAP = 1024.0",
        "LEARNED_GAP = 16.0",
        "tests/numerics/test_constructions.py -k bit_for_bit",
    ),
    Mutant("compiler/architectures/rotary_frequencies.py", "ROTARY_GAP = 256.0", "ROTARY_GAP = 16.0", LLAMA),
    Mutant("compiler/emit/attention.py", "REST_BELOW = 64.0", "REST_BELOW = 0.0", READ),
    Mutant("compiler/emit/attention.py", "OTHERS_BELOW = 1024.0", "OTHERS_BELOW = 2.0", READ),
    Mutant("compiler/emit/heads.py", "OFF = 400.0", "OFF = 20.0", MEAN),
    Mutant("compiler/emit/learned_heads.py", "{int(roles[0]): -200.0}", "{int(roles[0]): -20.0}", MEAN),
    # what slots hold, and what norms and neurons leave of it
    Mutant(
        "compiler/schedule/allocate.py",
        "one.clear > two.birth:",
        "one.clear > two.birth + 1:",
        "tests/schedule/test_verify_schedule.py::test_lifetimes_that_overlap_by_one_stage",
    ),
    Mutant(
        "compiler/schedule/allocate.py",
        "SWALLOWED = 2.0**8",
        "SWALLOWED = 2.0**80",
        "tests/transforms/test_narrow.py -k takes_no_slot",
    ),
    Mutant(
        "compiler/numerics/sizes.py",
        "layer=NormSizes(bits=12.5,",
        "layer=NormSizes(bits=4.0,",
        "tests/numerics/test_constructions.py -k norms_pass",
    ),
    Mutant("compiler/numerics/sizes.py", "open: float = 64.0", "open: float = 2.0", LLAMA),
    Mutant("compiler/transforms/stability.py", "GROWTH = 4.0", "GROWTH = 1e12", COMPILED.format("iterative_newton")),
    Mutant(
        "compiler/numerics/functions.py",
        '"1 - f^2", level="at both ends"',
        '"1 - f^2"',
        "tests/certify/test_domains.py -k 'level_functions and gpt2'",
    ),
    Mutant(
        "compiler/numerics/fit_geometric.py", "FLAT = 1e-3", "FLAT = 1e6", "tests/numerics/test_steep.py -k exp_is_zero"
    ),
    # ranges
    Mutant("compiler/interpreter/calibrate.py", "MARGIN = 0.1", "MARGIN = 0.0", RANGES),
    Mutant("compiler/interpreter/calibrate.py", "low > 0, low / factor", "low > 0, low * factor", RANGES),
    Mutant(
        "compiler/transforms/guard_empty_divisors.py",
        "TASKS = 64",
        "TASKS = 0",
        "tests/transforms/test_empty.py -k newtons",
    ),
    # what the guard watches
    Mutant("artifact/limits.py", "SLACK = 1e-3", "SLACK = 0.5", "tests/runtime/test_guard.py -k layer_token_task"),
    Mutant("runtime/guard/watches.py", "BOTH = 2.0", "BOTH = 1e9", FACTORS),
    Mutant("artifact/limits.py", "ROOM = 2.0", "ROOM = 1e9", FACTORS),
    Mutant(
        "runtime/guard/watches.py",
        "n == placement.first or ",
        "",
        "tests/runtime/test_guard.py -k first_sublayer_that_holds",
    ),
    Mutant(
        "runtime/layers/steps.py",
        "here = of._replace(counts=number == loop.count - 1) if loop.scan else of",
        "here = of",
        "tests/runtime/test_guard.py -k last_pass_counts",
    ),
    # what is run for the outputs
    Mutant(
        "compiler/schedule/liveness.py",
        "if any(sublayer.division is not None for sublayer in schedule.walk()):",
        "if not schedule.body:",
        "tests/transforms/test_quotients.py -k 'taken_where and gpt2'",
    ),
    Mutant(
        "runtime/layers/turns.py",
        "_turned(key, head, tables, before.place)",
        "_turned(key, head, tables, place)",
        "'tests/runtime/test_turns.py::test_a_pass_at_its_own_token_is_enough[perceptron-llama-float64]'",
    ),
    # what comparisons decide by
    Mutant("compiler/numerics/attention_gates.py", '"float32": 2.0**48', '"float32": 2.0**30', COMPARED),
    Mutant(
        "compiler/numerics/attention_gates.py", "(2.0**22, 2.0**30, 2.0**30)", "(2.0**22, 2.0**22, 2.0**22)", COMPARED
    ),
    Mutant(
        "compiler/numerics/attention_gates.py", 'APART = {"float32": 2.0**30', 'APART = {"float32": 2.0**6', COMPARED
    ),
    Mutant(
        "compiler/certify/tolerance.py",
        "if any(parts[v]) and v not in kept",
        "if any(parts[v])",
        "tests/numerics/test_comparisons.py -k never_made_cheaper",
    ),
    Mutant("compiler/interpreter/seen.py", "TIE = 1e-13", "TIE = -1.0", COMPARED),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_that_a_mutant_changes_stands_once(mutant: Mutant) -> None:
    assert mutated(mutant) != (ROOT / mutant.file).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_killed(mutant: Mutant, tmp_path: Path) -> None:
    found = outcome(mutant, tmp_path)
    assert found.status != SURVIVED, f"{mutant.tests} passes with {mutant.new.strip()} in {mutant.file}"
    assert found.status == KILLED, found.output


@pytest.mark.slow
def test_a_mutant_that_changes_nothing_survives_and_one_out_of_date_is_told(tmp_path: Path) -> None:
    harmless = Mutant("compiler/syntax/builtins.py", "clip (a value", "clip (one value", QUICK)
    assert outcome(harmless, tmp_path).status == SURVIVED
    with pytest.raises(ValueError, match="0 times"):
        mutated(Mutant("compiler/syntax/builtins.py", "no such line", "", QUICK))


@pytest.mark.slow
def test_a_mutant_whose_tests_never_import_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"does not run laboratory/training/train\.py"):
        outcome(Mutant("laboratory/training/train.py", '"""Training: ', '"""', QUICK), tmp_path)
