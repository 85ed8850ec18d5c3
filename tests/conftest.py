"""What all tests share: golden files, printed results that `pytest --update-golden` writes anew; the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from innerloop.runtime import executables
from jaxtyping import install_import_hook

from tests.support.commands import compiled, innerloop
from tests.support.shared import SHARED, keep_in

LAYERS = ("attention", "delta_rule", "functions", "steps", "turns")
SHAPED = [f"innerloop.runtime.{name}" for name in ("arrays", "forward", *(f"layers.{name}" for name in LAYERS))]
"""Modules whose arrays have the shapes that they say, checked in every test."""
with install_import_hook(SHAPED, "beartype.beartype"):
    for module in SHAPED:
        import_module(module)

LONGEST = ("test_retargetable.py", "test_reproduce.py", "test_interrupts.py", "test_reproduce_deep.py")
"""Run first: a test of a minute or two that comes last is one that all processes but one wait for."""

AS_USERS = (
    "test_calls.py",
    "test_compare.py",
    "test_demo.py",
    "test_executables.py",
    "test_library.py",
    "test_precision.py",
    "test_real_data.py",
    "test_reproduce.py",
    "test_retargetable.py",
    "test_sixteen_bits.py",
    "test_stability.py",
    "test_verdicts.py",
)
"""Passes of these are compiled as for users: what gives figures, and what runs long. And so is what runs in a process
of its own, and, without `trained_sooner`, what is trained."""

__all__ = ["compiled", "golden", "innerloop"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew from what is printed now"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def _shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The processes of a run have folders of their own in one that they share; .ci/run has two runs share one."""
    own = tmp_path_factory.getbasetemp()
    keep_in(Path(os.environ.get(SHARED) or (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"))


def _at_zero(usual: Callable[[str], executables.Options]) -> Callable[[str], executables.Options]:
    return lambda platform: usual(platform) | ({executables.LEVEL: 0} if platform == "cpu" else {})


@pytest.fixture(scope="module", autouse=True)
def _compiled_sooner(request: pytest.FixtureRequest) -> Iterator[None]:
    """Passes at level 0 of LLVM for 1: of a test with JAX, most is compiling. The outputs are the same, and each call
    takes four times as long."""
    if request.path.name in AS_USERS or "explain" in request.path.parts:
        yield
        return

    def forget() -> None:
        for function in executables._made:
            function.forget()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executables, "soon", _at_zero(executables.soon))
        forget()
        yield
    forget()


@pytest.fixture
def trained_sooner(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Training at level 0 of LLVM for 3, for tests of a few steps."""
    from innerloop.laboratory.training import steps

    monkeypatch.setattr(steps, "exact", _at_zero(executables.exact))
    steps.stepper_of.cache_clear()
    yield
    steps.stepper_of.cache_clear()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """`golden(path, text)` holds `text` against the file; a missing file fails, unless files are being updated."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        if not path.is_file():
            pytest.fail(f"{path} is missing; `pytest --update-golden` writes it")
        assert text == path.read_text(encoding="utf-8"), f"{path} differs; if the change is meant, --update-golden"

    return compare
