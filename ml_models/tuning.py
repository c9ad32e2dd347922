"""Search for parameters on folds that lie before the years on which the result will be judged.

A study proposes parameters in rounds (TPE: Bergstra et al. (2011), "Algorithms for Hyper-Parameter Optimization"), each
proposal is trained and judged on the years just before the test years, one after another, and given up where it falls
behind the median. Its value is the mean rank IC of those years. Every proposal is a trial, given up or not. Rounds are
seeded and told as a whole, so a study gives the same answer however many threads work on it and however often it was
cut off: what was tried is read back from the trials' rows.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from hashlib import sha256

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from database.queries.features import Snapshot
from features.feature import Feature
from ml_models.algorithm import Algorithm
from ml_models.dataset import Dataset
from ml_models.returns import Judged
from ml_models.study import Outcome, Study, Tried, mean_rank_ic
from ml_models.training import plan_fold, train_fold

# Proposals that are made at once, and that may be worked on at once.
ROUND = 4
_STARTUP = 2 * ROUND
optuna.logging.set_verbosity(optuna.logging.WARNING)


def search(
    study: Study,
    *,
    trials: int,
    work: Callable[[Sequence[tuple[dict[str, int | float], "Pruning"]]], Sequence[Outcome]],
) -> list[Tried]:
    """`trials` proposals with their outcomes, in order; `work` judges one round, in any order and on any threads."""
    tried: list[Tried] = []
    for start in range(0, trials, ROUND):
        told = _told(study, tried)
        asked = [told.ask(_distributions(study.usual.algorithm)) for _ in range(ROUND)][: trials - start]
        proposals = [(dict(one.params), Pruning(one)) for one in asked]
        outcomes = work(proposals)
        tried += [Tried(parameters, outcome) for (parameters, _), outcome in zip(proposals, outcomes, strict=True)]
    return tried


def best_of(tried: Sequence[Tried]) -> Tried | None:
    """The complete proposal with the highest value, the first of equals; None where none is complete."""
    complete = [(one.outcome.value, -place) for place, one in enumerate(tried) if one.outcome.value is not None]
    return tried[-max(complete)[1]] if complete else None


class Pruning:
    """Whether a proposal has fallen behind the median of those of earlier rounds."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def falls_behind(self, step: int, value: float) -> bool:
        """Told the mean rank IC up to the inner year number `step`."""
        self._trial.report(value, step)
        return self._trial.should_prune()


def judge_proposal(
    study: Study,
    parameters: Mapping[str, int | float],
    rows: Dataset,
    snapshots: Mapping[int, Snapshot],
    features: Sequence[Feature],
    pruning: Pruning,
) -> tuple[Outcome, dict[int, Judged]]:
    """Train and judge one inner year after another; returns the outcome and what was said in each year.

    `rows` must end before the test years, labels included.
    """
    assert rows.panel.sessions[-1] < study.test_from_on, "tuning must not see the years that will judge it"
    configuration = study.proposal(parameters)
    found: dict[str, float] = {}
    said: dict[int, Judged] = {}
    for step, year in enumerate(study.inner_years):
        plan = plan_fold(configuration, snapshots, features, valid_from_on=date(year, 1, 1))
        trained = train_fold(plan, rows, features)
        said[year] = trained.judged
        if trained.metrics["rank_ic"] is not None:
            found[str(year)] = trained.metrics["rank_ic"]
        is_last = year == study.inner_years[-1]
        if found and not is_last and pruning.falls_behind(step, mean_rank_ic(found)):
            return Outcome("pruned", found), said
    return Outcome("complete" if found else "barren", found), said


def _told(study: Study, tried: Sequence[Tried]) -> optuna.Study:
    """An Optuna study that knows what was tried in earlier rounds and proposes what it would have proposed then."""
    seed = int(sha256(f"{study.key} {len(tried)}".encode()).hexdigest()[:8], 16)
    told = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, multivariate=True, constant_liar=True),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=ROUND),
    )
    distributions = _distributions(study.usual.algorithm)
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "barren": TrialState.FAIL}
    for one in tried:
        means = [
            mean_rank_ic(dict(list(one.outcome.rank_ics.items())[: step + 1]))
            for step in range(len(one.outcome.rank_ics))
        ]
        told.add_trial(
            optuna.trial.create_trial(
                state=states[one.outcome.state],
                value=one.outcome.value,
                params=one.parameters,
                distributions=distributions,
                intermediate_values=dict(enumerate(means)),
            )
        )
    if not tried:
        # What is usual is tried first, so that a search never ends with less than it began with.
        told.enqueue_trial({name: study.usual.parameters[name] for name in distributions})
    return told


def _distributions(algorithm: Algorithm) -> dict[str, BaseDistribution]:
    return {
        name: IntDistribution(span.low, span.high, log=span.log)
        if isinstance(span.low, int) and isinstance(span.high, int)
        else FloatDistribution(span.low, span.high, log=span.log)
        for name, span in algorithm.ranges.items()
    }
