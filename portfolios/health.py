"""The health score of an account, 0 to 100: six components, what is unknown left out of the weighting and said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from portfolios.facts import Facts
from portfolios.health_rules import RULES, Finding
from portfolios.improvements import find_ideas

# With less than this much of the weight known there is no score: one component is no health.
KNOWN_WEIGHT_MIN = 50
_TOLD_POINTS = 0.05


@dataclass(frozen=True)
class Component:
    """`weight` of 100; `score` is None where the answer is not known, and then `sentence` says why."""

    name: str
    score: float | None
    weight: int
    measured: str
    bar: str
    sentence: str


@dataclass(frozen=True)
class Step:
    """Something that would help: `points` is what the whole score would gain, costs and taxes left aside."""

    component: str
    account_id: int
    text: str
    points: float
    score_after: float
    trades: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Health:
    """`score` is None, with `why`, where too little is known."""

    score: float | None
    why: str | None
    components: tuple[Component, ...]
    steps: tuple[Step, ...] = ()


def assess(facts: Facts) -> Health:
    """The score as the account stands, without what would improve it."""
    components = tuple(_component(name, share, rule(facts)) for name, (share, rule) in RULES.items())
    if facts.unpriced:
        return Health(None, f"{', '.join(facts.unpriced)} is held and has no price: no weight is known", components)
    known = [one for one in components if one.score is not None]
    weight = sum(one.weight for one in known)
    if weight < KNOWN_WEIGHT_MIN:
        unknown = ", ".join(one.name for one in components if one.score is None)
        return Health(None, f"too little is known for a score: {unknown}", components)
    score = sum(one.score * one.weight for one in known if one.score is not None) / weight
    return Health(round(score, 1), None, components)


def advise(facts: Facts) -> Health:
    """The same with what would improve it, the most helpful first; what would not help is not told."""
    now = assess(facts)
    if now.score is None:
        return now
    steps = []
    for idea in find_ideas(facts):
        after = assess(facts.after(idea.shares)).score
        if after is not None and after - now.score > _TOLD_POINTS:
            trades = tuple((facts.symbols[key], quantity) for key, quantity in sorted(idea.shares.items()))
            gained = round(after - now.score, 1)
            steps.append(Step(idea.component, facts.account_id, idea.text, gained, after, trades))
    steps.sort(key=lambda step: (-step.points, step.text))
    return Health(now.score, now.why, now.components, tuple(steps))


def combine_healths(healths: Sequence[Health], values: Sequence[float]) -> Health:
    """Several accounts as one: each component and the score weighted with the accounts' values."""
    if len(healths) == 1:
        return healths[0]
    components = []
    for name, (share, _) in RULES.items():
        own = [(value, part) for value, one in zip(values, healths, strict=True) for part in one.components]
        same = [(value, part) for value, part in own if part.name == name]
        known = [(value, part) for value, part in same if part.score is not None and value > 0]
        if known:
            worst = min(known, key=lambda item: item[1].score or 0.0)[1]
            score = sum(value * (part.score or 0.0) for value, part in known) / sum(value for value, _ in known)
            told = f"Mean of {len(known)} accounts; the weakest: {worst.sentence}"
            components.append(Component(name, round(score, 1), share, worst.measured, worst.bar, told))
        elif same:
            components.append(same[0][1])
    scored = [(value, one.score) for value, one in zip(values, healths, strict=True) if one.score is not None]
    total = sum(value for value, _ in scored)
    if total <= 0:
        return Health(None, "no account has a score", tuple(components))
    score = round(sum(value * score for value, score in scored) / total, 1)
    steps = [
        replace(
            step,
            points=round(step.points * value / total, 1),
            score_after=round(score + step.points * value / total, 1),
        )
        for value, one in zip(values, healths, strict=True)
        for step in one.steps
    ]
    steps.sort(key=lambda step: (-step.points, step.text))
    left_out = len(healths) - len(scored)
    why = f"{left_out} of {len(healths)} accounts have no score and are left out" if left_out else None
    return Health(score, why, tuple(components), tuple(steps))


def _component(name: str, share: int, found: Finding) -> Component:
    score = None if found.score is None else round(found.score, 1)
    return Component(name, score, share, found.measured, found.bar, found.sentence)
