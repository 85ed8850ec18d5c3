"""A model as its answers: one for each prefix of each task.

    x [tasks, n + 1, d], y [tasks, n], prefixes k₁ < k₂ …   →   answers [tasks, prefixes]

An answer after k examples is what is said of x[k] when x[0] … x[k − 1] and their labels have been seen. A model of
tokens `(x y)* x` gives all of them at once; one of `(example)* query` is asked anew for each k, and by default only for
all of its examples, which it was made for. A Python function is asked as the latter, by f(x [tasks, k + 1, d],
y [tasks, k]) → [tasks]. A folder of transformers, of GPT-2 or Llama, is run by the project's own pass (stock.py).

A sequence of states is a regression whose label of each state is the next one: x[k] is asked for x[k + 1], a number for
each of its components, and answers are [tasks, prefixes · components].
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.signature import Signature
from innerloop.artifact.weights import Weights
from innerloop.laboratory.measures.distance import predicted
from innerloop.laboratory.measures.subject import Subject
from innerloop.laboratory.training.baselines import is_baseline
from innerloop.laboratory.training.tasks import TaskDistribution

from .stock import is_stock
from .stock import load as stock

CAUSAL, SHARED, EXAMPLES = "(x y)* x", "(example)* query  visible context", "(example)* query"
"""The tokens of regression."""
STATES = "states"
"""What tokens are called that hold a state each, of a sequence."""

LARGEST = 1e100
"""Of an answer: the squares of larger ones are not numbers."""

Asked = Callable[[Floats, Floats, tuple[int, ...]], Floats]


@dataclass(frozen=True)
class Behaviour:
    """`ask` gives answers [tasks, prefixes]; `whole` is whether every prefix is asked for by default; `inside` the
    weights and what they hold, None for a Python function."""

    name: str
    ask: Asked
    whole: bool
    inside: Subject | None

    def prefixes(self, n: int) -> tuple[int, ...]:
        """1, 2, 3, 5, 7, 10, 14, 20 … up to n; or n alone."""
        if not self.whole:
            return (n,)
        found = [1, 2, 3, 5, 7]
        while found[-1] < n:
            found.append(max(found[-1] + 3, round(1.4 * found[-1])))
        return tuple([k for k in found if k < n] + [n])


def of_weights(weights: Weights, name: str) -> Behaviour:
    """Raises InnerloopError for weights that do no regression."""
    return of_subject(Subject(weights, name))


def of_subject(subject: Subject) -> Behaviour:
    """Raises InnerloopError for weights that do no regression."""
    weights, name = subject.weights, subject.name
    signature = weights.signature
    tokens = tokens_of(signature)
    if tokens == STATES and weights.output.shape == signature.fields[0].shape:
        return Behaviour(name, _states(subject), True, subject)
    shapes = {field.name: field.shape for field in signature.fields}
    if shapes.keys() != {"x", "y"} or len(shapes["x"]) != 1 or shapes["y"] or weights.output.shape:
        raise InnerloopError(
            f"{name}: explain takes models of regression, of fields x of vectors and y of numbers with one number as "
            f"output, and of sequences, of states with the next as output; this one takes {', '.join(shapes)} and "
            f"gives shape {list(weights.output.shape)}"
        )
    if tokens == CAUSAL:

        def all_at_once(x: Floats, y: Floats, prefixes: tuple[int, ...]) -> Floats:
            last = max(prefixes)
            found = predicted(subject, {"x": x[:, : last + 1], "y": y[:, :last]})
            return found[:, list(prefixes)]

        return Behaviour(name, all_at_once, True, subject)
    if tokens not in (SHARED, EXAMPLES):
        raise InnerloopError(f"{name}: explain takes tokens `{CAUSAL}` or `{SHARED}`, not `{tokens}`")

    def one_by_one(x: Floats, y: Floats, prefixes: tuple[int, ...]) -> Floats:
        return np.stack([predicted(subject, {"x": x[:, : k + 1], "y": y[:, :k]})[:, -1] for k in prefixes], 1)

    return Behaviour(name, one_by_one, False, subject)


def _states(subject: Subject) -> Asked:
    field = subject.weights.signature.fields[0]

    def ask(x: Floats, _: Floats, prefixes: tuple[int, ...]) -> Floats:
        states = x[:, : max(prefixes) + 1].reshape(len(x), -1, *field.shape)
        found = predicted(subject, {field.name: states})  # of the last tokens: where a start has no answer
        return found[:, np.array(prefixes) - states.shape[1]].reshape(len(x), -1)

    return ask


def tokens_of(signature: Signature) -> str:
    """The tokens in words; `STATES` where each holds a state and nothing else."""
    pattern, held = signature.pattern, [set(field.kinds) for field in signature.fields]
    return STATES if held == [set(pattern.kinds)] and not pattern.visible_context else str(pattern)


def of_function(function: Callable[[Floats, Floats], Any], name: str) -> Behaviour:
    """f(x [tasks, k + 1, d], y [tasks, k]) → [tasks], the answer to the last x."""

    def ask(x: Floats, y: Floats, prefixes: tuple[int, ...]) -> Floats:
        answers = []
        for k in prefixes:
            try:  # on copies: it may write into them
                answer = np.asarray(function(x[:, : k + 1].copy(), y[:, :k].copy()))
                if np.iscomplexobj(answer):
                    raise TypeError("complex answers")
                found = answer.astype(np.float64)
            except (Exception, SystemExit) as error:  # whatever it raises
                raise DataError(
                    f"{name}: {type(error).__name__}: {error}; it was asked with x {(len(x), k + 1, x.shape[2])} and "
                    f"y {(len(x), k)}, and is to give ({len(x)},) after any number of examples"
                ) from error
            if found.shape != (len(x),) or not (np.abs(found) < LARGEST).all():
                what = (
                    f"what is not finite, or not below {LARGEST:g}"
                    if found.shape == (len(x),)
                    else f"shape {found.shape}"
                )
                raise DataError(
                    f"{name}: gave {what} for "
                    f"x {(len(x), k + 1, x.shape[2])} and y {(len(x), k)}: wanted ({len(x)},), a finite answer to the "
                    f"last x of each task"
                )
            answers.append(found)
        return np.stack(answers, 1)

    return Behaviour(name, ask, True, None)


def load(model: str, adapter: Path | None = None) -> Behaviour:
    """A folder of weights, of this project or of transformers, or FILE.py:FUNCTION; `adapter`: a file that says how a
    model of transformers takes x and y (adapter.py). Raises InnerloopError and OSError for what is none of them."""
    path, colon, name = model.rpartition(":")
    function = bool(colon) and path.endswith(".py")
    if adapter is not None and (function or (Path(model).is_dir() and not is_stock(Path(model)))):
        raise InnerloopError(f"--adapter {adapter}: is of a folder of transformers; {model} takes x and y as they are")
    if function:
        return of_function(_function(Path(path), name), name)
    folder = Path(model)
    if folder.suffix == ".py" and not folder.is_dir():
        raise InnerloopError(f"{model}: names no function; a Python model is FILE.py:FUNCTION")
    if is_baseline(folder):
        raise InnerloopError(f"{folder}: is a baseline, and no weights; give what it answers, as FILE.py:FUNCTION")
    if is_stock(folder):
        return of_subject(stock(folder, adapter))
    return of_weights(Weights.load(folder), folder.name)


def _function(path: Path, name: str) -> Callable[[Floats, Floats], Any]:
    if not path.is_file():
        raise InnerloopError(f"{path}: there is no such file; a Python model is FILE.py:FUNCTION")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InnerloopError(f"{path}: {type(error).__name__}: {error}") from error
    found = getattr(module, name, None)
    if not callable(found):
        raise InnerloopError(f"{path}: has no function `{name}`; a Python model is FILE.py:FUNCTION")
    return found  # type: ignore[no-any-return]


def examples(task: TaskDistribution) -> int:
    """n: how many examples a prompt of the task has; of a sequence the states before the last that is asked of."""
    n: int = task.parameters["n"]
    return n - 2 if task.sequence else n


def prompts(task: TaskDistribution, count: int, seed: int) -> tuple[Floats, Floats]:
    """x [tasks, n + 1, d] and y [tasks, n + 1], the query's label among them; of sequences y [tasks, n + 1, d]."""
    fields = {name: np.asarray(rows, np.float64) for name, rows in task.drawn(count, seed, jit=False).items()}
    if not task.sequence:
        return fields["x"], fields["y"]
    (states,) = fields.values()
    states = states.reshape(*states.shape[:2], -1)
    return states[:, :-1], states[:, 1:]


def given(signature: Signature, x: Floats, y: Floats) -> dict[str, Floats]:
    """The prompts x [tasks, n + 1, d], y [tasks, n] as fields of a program, or of a model, of `signature`."""
    if tokens_of(signature) != STATES:
        return {"x": x, "y": y}
    (field,) = signature.fields
    return {field.name: x.reshape(*x.shape[:2], *field.shape)}
