"""The whole of it, in order: answers, fits, choice, evidence, the most telling prompts.

    Behaviour, TaskDistribution   →   Explanation; verdict.py says it in words, report.py writes it

Fits see 128 tasks; all figures are of 512 others, and off the distribution of 128, where no fewer are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np
from innerloop.artifact.errors import InnerloopError
from innerloop.laboratory.training.tasks import TaskDistribution
from innerloop.runtime.surroundings import SEEDS

from .behaviour import STATES, Behaviour, examples, prompts, tokens_of
from .candidate import Candidate, Counts
from .choice import MARGIN, Choice, choose, named_by, settled
from .counts import fit_from, grid, plain, refined
from .evidence import Evidence, gather
from .families import Family, regression
from .fit import EXACT, Fitted, Tasks, bootstrap, central, core, trivial
from .library import rest
from .search import hidden, search
from .sequences import sequences
from .stream import Inside, inside
from .telling import Telling, telling

Told = Callable[[str, int, int], None]
Group = Callable[[Sequence[Counts] | None], list[list[Fitted]]]
HARDLY = 0.05
"""Of E y²: answers that differ less from a trivial predictor's ignore their context, unless a known program gives them;
no text is searched for."""
LEAST = 64
"""Tasks of the figures; a quarter as many are fitted."""
SAME = 1e-6
"""What leaves less of a program's answers holds it."""
LINEAR = ("linear", "noisy_linear", "sparse_linear", "skewed_linear", "discrete_linear")
"""Tasks whose labels are linear in x, so that prompts may be moved along."""
USUAL = 0.99
"""Telling prompts are such that both programs answer as the model does on this share of the tasks, or less."""


@dataclass(frozen=True)
class Settings:
    """Tasks of the fit, of the figures, those that the most telling ones are sought among, those of the probes, and
    those off the distribution; slopes and weights are of half as many."""

    fitted: int = 128
    held: int = 512
    sought: int = 4096
    probed: int = 768
    shifted: int = 128
    seed: int = 0

    @classmethod
    def of(cls, tasks: int, seed: int) -> Settings:
        """With so many tasks of the figures, and fewer of the others alike: a slow model is asked less. Raises
        InnerloopError for fewer than 64."""
        if tasks < LEAST:
            raise InnerloopError(f"--tasks {tasks}: fewer than {LEAST} say nothing of parameters")
        return cls(fitted=tasks // 4, held=tasks, shifted=tasks // 4, seed=seed)


@dataclass(frozen=True)
class Explanation:
    """held      the held-out tasks, with the model's answers
    interval  of what the best fit leaves unexplained
    core      what it leaves on the 95 % of the tasks on which it is nearest, and its interval
    central   the same of the 95 % of the answers at each prefix
    loss      the model's own, E (ŷ − y)² over prefixes, beside `size`, E y²
    spread    E (ŷ − t)² from the trivial predictor
    inside    what of the best fit stands in the stream; None for a Python function
    twins     E (p − g)² over E (p − p′)², p′ the other model
    shared    E (p − g)(p′ − g) over the mean of both own
    chance    ½ E (p − p″)² over the spread, p″ the same function asked again; 0 of weights"""

    model: str
    task: TaskDistribution
    prefixes: tuple[int, ...]
    held: Tasks
    choice: Choice
    interval: tuple[float, float]
    core: tuple[float, tuple[float, float]]
    central: tuple[float, tuple[float, float]]
    loss: float
    size: float
    spread: float
    evidence: Evidence
    telling: tuple[Telling, ...]
    inside: Inside | None
    twins: float | None
    shared: float | None
    chance: float


def explain(
    model: Behaviour,
    task: TaskDistribution,
    more: Sequence[Family] = (),
    only: Sequence[str] = (),
    twin: Behaviour | None = None,
    settings: Settings | None = None,
    told: Told = lambda *_: None,
    search_too: bool = True,
) -> Explanation:
    """`more`: families beside those of the task's kind; `only`: the names to try, if not all. `twin`: the same training
    from another seed. `search_too`: whether texts are edited and mixed (search.py) where no program
    explains the model. Where one of the usual families gives the answers exactly, the rest of the library is tried at
    its number of steps and at the largest alone: what is the same program is to be named beside it.

    Raises InnerloopError for tasks that the model does not take, for a name that there is
    not, and DataError for a model that is not finite on these tasks."""
    settings = settings or Settings()
    if task.sequence and (model.inside is None or tokens_of(model.inside.weights.signature) != STATES):
        raise InnerloopError(f"{model.name}: {task.name} takes weights of tokens that hold a state each")
    if model.inside is not None:
        task.verify(model.inside.weights)
    n = examples(task)
    prefixes = model.prefixes(n)
    told("asking the model", 0, 0)
    seen = _asked(model, task, settings.fitted, settings.seed, prefixes)
    held = _asked(model, task, settings.held, (settings.seed + 1) % SEEDS, prefixes)
    base = trivial(held)
    spread, size = float(((held.model - base) ** 2).mean()), float((held.truth**2).mean())
    usual = [*(sequences(task) if task.sequence else regression(task.inputs, n)), *more]
    rarer = [] if task.sequence else rest(task.inputs, n)
    usual, rarer = _chosen(usual, rarer, only)

    def fitted(families: Sequence[Family], counts: Sequence[Counts] | None = None) -> list[list[Fitted]]:
        found = []
        for number, family in enumerate(families):
            told(f"fitting {family.name}", number, len(families))
            tried = grid(family)
            tried = tried if counts is None else [*counts, tried[-1]]
            found.append(plain(candidate_of(family, n, prefixes), seen, held, tried))
        return [fits for fits in found if fits]

    trying = [usual, rarer] if spread > EXACT * size else [usual]
    near, fits = refine([partial(fitted, families) for families in trying], seen, held, told)
    if min(f.left for f in fits) > EXACT and spread >= HARDLY * size:
        best = choose(fits, held.model, base).best
        if search_too and near:
            told("searching among edits and mixtures of the nearest programs", 0, 0)

            def make(family: Family) -> Candidate:
                return Candidate(family, n, prefixes)

            named = named_by(held.model, best.answers, base) is not None
            fits += hidden(near, best, seen, held, make) if named else search(near, seen, held, make)
    choice = choose(fits, held.model, base)
    holding: list[Fitted] = []
    while choice.rival is not None and choice.margin < MARGIN and holds(choice.rival, choice.best, seen, held):
        holding.append(choice.rival)  # many numbers on few tasks fit worse than the special case
        choice = choose(fits, held.model, base, holding)
    within = None
    if model.inside is not None:
        told("looking for its variables in the stream", 0, 0)
        x, y = prompts(task, settings.probed, (settings.seed + 4) % SEEDS)
        within = inside(model.inside, choice.best, choice.alike, x, y[:, :-1])
        choice, before = settled(choice, within.steps), choice
        if choice is not before:
            within = inside(model.inside, choice.best, choice.alike, x, y[:, :-1])
    told("measuring", 0, 0)
    evidence = gather(model, choice.best, seen, held, task, (settings.seed + 2) % SEEDS, settings.shifted)
    most_telling: list[Telling] = []
    second = choice.rival
    if second is not None:
        told(f"seeking prompts that tell {choice.best.full} from {second.full}", 0, 0)
        x, y = prompts(task, settings.sought, (settings.seed + 3) % SEEDS)
        most = np.quantile(np.abs(held.model), USUAL, axis=0)
        most_telling = telling(model, choice.best, second, x, y[:, :-1], task.name in LINEAR, most)
    twins, shared, chance = None, None, 0.0
    if model.inside is None:
        some = slice(0, settings.shifted // 2)
        again = model.ask(held.x[some], held.labels[some], prefixes)
        varied = float(((held.model[some] - base[some]) ** 2).mean())
        chance = float(((held.model[some] - again) ** 2).mean() / 2 / max(1e-300, varied))
    if twin is not None:
        other = twin.ask(held.x, held.labels, prefixes)
        own, others = held.model - choice.best.answers, other - choice.best.answers
        twins = float((own**2).mean() / max(1e-300, float(((held.model - other) ** 2).mean())))
        shared = float((own * others).mean() / max(1e-300, float((own**2).mean() + (others**2).mean()) / 2))
    return Explanation(
        model=model.name,
        task=task,
        prefixes=prefixes,
        held=held,
        choice=choice,
        interval=bootstrap(held.model, choice.best.answers, base),
        core=core(held.model, choice.best.answers, base),
        central=central(held.model, choice.best.answers, base),
        loss=float(((held.model - held.truth) ** 2).mean()),
        size=size,
        spread=spread,
        evidence=evidence,
        telling=tuple(most_telling),
        inside=within,
        twins=twins,
        shared=shared,
        chance=chance,
    )


def refine(
    groups: Sequence[Group], seen: Tasks, held: Tasks, told: Told
) -> tuple[list[Fitted], list[Fitted]]:  # fmt: skip
    """The fits of the first group, and of all; a group gives those of its families, plain, at all counts of their
    grids, or at those that it is given and the largest.

    Where one is exact, the families of later groups are tried so, at its count, the others too, and all are left as
    they are: what is further off decides nothing, and what is exact as well is to be named beside it. Else all are
    refined, group by group, until one is exact."""
    asked: list[list[list[Fitted]]] = []
    for number, first in enumerate(groups):
        asked.append(first(None))
        exact = [f for family in asked[-1] for f in family if f.left <= EXACT]
        if counts := [f.counts or f.candidate.family.unrolled for f in exact]:
            asked += [later(counts) for later in groups[number + 1 :]]
            whole = [[*family, *plain(family[0].candidate, seen, held, counts, family)] for family in chain(*asked)]
            known = [refined(of, seen, held) if min(f.left for f in of) <= EXACT else of for of in whole]
            return list(chain(*known[: len(asked[0])])), list(chain(*known))
    fits: list[Fitted] = []
    near = fits
    for group in asked:
        for number, family in enumerate(group):
            told(f"refining {family[0].candidate.name}", number, len(group))
            fits = fits + refined(family, seen, held)
        near = near or fits
        if fits and min(f.left for f in fits) <= EXACT:
            break
    return near, fits


def holds(wide: Fitted, narrow: Fitted, seen: Tasks, held: Tasks) -> bool:
    """Whether the one program's answers are among the other's."""
    candidate = narrow.candidate
    own = replace(seen, model=candidate.answers(narrow.theta, narrow.counts, seen.x, seen.labels))
    others = replace(held, model=narrow.answers)
    starts = [*wide.candidate.starts(), wide.theta]
    return fit_from(wide.candidate, wide.counts, starts, own, others, trivial(others)).left <= SAME


_made: dict[tuple[str, str, int, tuple[int, ...]], Candidate] = {}


def candidate_of(family: Family, n: int, prefixes: tuple[int, ...]) -> Candidate:
    """Made once for all models of a process: what is compiled for it stays."""
    key = family.text, repr((family.given, family.reals, family.whole)), n, prefixes
    if key not in _made:
        _made[key] = Candidate(family, n, prefixes)
    return _made[key]


def _asked(model: Behaviour, task: TaskDistribution, count: int, seed: int, prefixes: tuple[int, ...]) -> Tasks:
    x, y = prompts(task, count, seed)
    return Tasks(x, y, np.asarray(model.ask(x, y[:, :-1], prefixes), np.float64), prefixes)


def _chosen(
    usual: Sequence[Family], others: Sequence[Family], only: Sequence[str]
) -> tuple[list[Family], list[Family]]:  # fmt: skip
    """Those of the names `only`, if it has any; of two of one name the last."""
    known = {family.name: family for family in (*others, *usual)}
    for name in only:
        if name not in known:
            raise InnerloopError(f"explain knows no program `{name}`; it tries {', '.join(known)}")
    first = {family.name for family in usual}
    wanted = [family for name, family in known.items() if not only or name in only]
    return [f for f in wanted if f.name in first], [f for f in wanted if f.name not in first]
