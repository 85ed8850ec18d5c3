"""The programs and the data that ship."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from innerloop.compiler.syntax.parse import parse
from innerloop.programs import GROUPS, UnknownNameError, citation, dataset, datasets, load, names, purpose
from sklearn.datasets import load_diabetes


def test_the_three_programs_ship() -> None:
    assert {"gradient_descent", "stochastic_gradient_descent", "sherman_morrison"} <= set(names())


def test_every_program_stands_in_one_group() -> None:
    assert sorted(name for members in GROUPS.values() for name in members) == names()


@pytest.mark.parametrize("name", names())
def test_a_program_is_short(name: str) -> None:
    lines = [line for line in load(name).splitlines() if line.strip() and not line.startswith("#")]
    assert 3 <= len(lines) <= 30


@pytest.mark.parametrize("name", names())
def test_a_program_bears_its_file_s_name_and_cites_its_source(name: str) -> None:
    text = load(name)
    assert parse(text, name).name == name
    assert "\n# Source: " in text
    assert purpose(name).endswith(".")
    assert len(purpose(name)) <= 80
    assert citation(name).endswith(".")
    assert re.search(r"\b(19|20)\d\d\b", citation(name)), "no year"


def test_an_unknown_program_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean `gradient_descent`"):
        load("gradient_decent")


def test_an_unknown_name_lists_what_there_is_if_nothing_is_near() -> None:
    with pytest.raises(UnknownNameError, match="there are `diabetes`"):
        dataset("zzz")


def test_a_path_is_no_name() -> None:
    with pytest.raises(UnknownNameError):
        load("../programs/gradient_descent")


def test_diabetes_is_the_published_data() -> None:
    published = load_diabetes(scaled=False)
    features, target = dataset("diabetes")
    assert datasets() == ["diabetes"]
    np.testing.assert_array_equal(features, published.data)
    np.testing.assert_array_equal(target, published.target)


CONTRACT = """
import importlib, pkgutil
import innerloop.artifact, innerloop.commands, innerloop.compiler
import innerloop.laboratory, innerloop.programs, innerloop.runtime
for package in (innerloop.artifact, innerloop.compiler, innerloop.laboratory, innerloop.programs, innerloop.runtime):
    found = [m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    clash = {name.rpartition(".")[2] for name in found if name.count(".") == 2} & set(getattr(package, "__all__", ()))
    assert not clash, clash
    for name in found:
        importlib.import_module(name)
from innerloop.compiler import CompileError, Weights, compile_program, interpret
from innerloop.programs import load, names
from innerloop.runtime import Transformer
assert all(callable(f) for f in (compile_program, interpret, load, names, Transformer, Weights))
"""


def test_the_contracts_names_are_what_they_are_whatever_was_imported_before() -> None:
    """A submodule that is called as a function is would hide it once it is imported."""
    result = subprocess.run([sys.executable, "-c", CONTRACT], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
