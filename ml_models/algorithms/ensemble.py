"""Ensemble: the mean of other algorithms' margins, each brought to the same spread over the validation window.

Without the common spread the boldest member would decide alone. A mean of margins, unlike one of ranks, is explained
exactly: the contributions are the same mean of the members' contributions.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import IntegrityBroken
from features.feature import Feature, Group
from ml_models.algorithm import SEED, Algorithm, Floats, Model, Parameters, Trained
from ml_models.dataset import Matrix, Rows
from ml_models.evaluate import auc

FILE = "ensemble.json"


@dataclass(frozen=True)
class EnsembleModel:
    """margin = sum of weight * margin over the members, whose features are the same."""

    members: tuple[Model, ...]
    weights: tuple[float, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.members[0].features

    def margins(self, X: Matrix) -> Floats:
        """The weighted sum of the members' margins."""
        total = np.zeros(len(X))
        for member, weight in zip(self.members, self.weights, strict=True):
            total += weight * member.margins(X)
        return total

    def contributions(self, X: Matrix) -> tuple[Floats, Floats]:
        """The same sum of the members' contributions and bases."""
        values, bases = np.zeros(X.shape), np.zeros(len(X))
        for member, weight in zip(self.members, self.weights, strict=True):
            own, base = member.contributions(X)
            values += weight * own
            bases += weight * base
        return values, bases

    def to_files(self) -> dict[str, bytes]:
        """The members' files, and the weights as JSON."""
        files = {FILE: json.dumps({"weights": self.weights}).encode()}
        for member in self.members:
            files |= member.to_files()
        return files


def spread_weights(deviations: Floats) -> Floats:
    """Weights that give each member the same spread and the sum the members' mean one; 0 for one without any."""
    varies = deviations > 0
    if not varies.any():
        return np.full(len(deviations), 1.0 / len(deviations))
    weights = np.zeros(len(deviations))
    weights[varies] = deviations[varies].mean() / deviations[varies] / varies.sum()
    return weights


def ensemble_of(members: Sequence[Algorithm]) -> Algorithm:
    """The ensemble of these algorithms; a member's parameter is named `<member>.<parameter>`."""

    def train(
        train: Rows,
        validation: Rows,
        *,
        features: Sequence[Feature],
        emphasis: Mapping[Group, float],
        parameters: Parameters,
        threads: int,
    ) -> Trained:
        """Train every member on the same rows."""
        trained = [
            member.train(
                train,
                validation,
                features=features,
                emphasis=emphasis,
                parameters=_of_member(member, parameters),
                threads=threads,
            )
            for member in members
        ]
        return combine([one.model for one in trained], validation)

    def read(files: Mapping[str, bytes]) -> EnsembleModel:
        """From `to_files`."""
        try:
            weights = tuple(float(weight) for weight in json.loads(files[FILE])["weights"])
        except (ValueError, TypeError, KeyError) as error:
            raise IntegrityBroken(f"{FILE} holds no weights: {error!r}") from error
        if len(weights) != len(members):
            raise IntegrityBroken(f"{FILE} holds {len(weights)} weights for {len(members)} members")
        return EnsembleModel(tuple(member.read(files) for member in members), weights)

    return Algorithm(
        name="ensemble",
        library="; ".join(member.library for member in members),
        modules=(__name__, *(module for member in members for module in member.modules)),
        weekly=_joined({member.name: member.weekly for member in members}),
        daily=_joined({member.name: member.daily for member in members}),
        ranges={f"{member.name}.{name}": span for member in members for name, span in member.ranges.items()},
        train=train,
        read=read,
    )


def combine(members: Sequence[Model], validation: Rows) -> Trained:
    """The ensemble of finished models, weighed by their spread over the validation rows."""
    margins = [member.margins(validation.X) for member in members]
    weights = spread_weights(np.array([margin.std() for margin in margins]))
    model = EnsembleModel(tuple(members), tuple(weights.tolist()))
    score = auc(sum(weight * margin for weight, margin in zip(weights, margins, strict=True)), validation.labels)
    assert score is not None, "every member refuses a window of one class"
    return Trained(model, rounds=len(members), best_round=len(members), validation_auc=score)


def _joined(parameters: Mapping[str, Parameters]) -> dict[str, int | float]:
    """`every_sessions` and `seed` are common to all members, as they learn from the same rows."""
    own = {
        f"{member}.{name}": value
        for member, values in parameters.items()
        for name, value in values.items()
        if name not in {"every_sessions", "seed"}
    }
    (every_sessions,) = {values["every_sessions"] for values in parameters.values()}
    return {"every_sessions": every_sessions, "seed": SEED, **own}


def _of_member(member: Algorithm, parameters: Parameters) -> dict[str, int | float]:
    own = {name: parameters[f"{member.name}.{name}"] for name in member.weekly if f"{member.name}.{name}" in parameters}
    return {"every_sessions": parameters["every_sessions"], "seed": parameters["seed"], **own}
