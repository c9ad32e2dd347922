"""Drift in sentences that somebody can act on."""

from collections.abc import Sequence
from datetime import date


def chance(p: float) -> str:
    """How often a month without drift looks like this."""
    return "under 1 % of months" if p < 0.01 else f"{p:.0%} of months".replace("%", " %")


def feature_shape(
    name: str, *, mean_shift: float, spread_shift: float, distance: float, line: float, p: float, is_alarm: bool
) -> str:
    """Where a feature's values have gone."""
    side = "above" if mean_shift >= 0 else "below"
    if not is_alarm:
        return (
            f"{name} sits {abs(mean_shift):.1f} reference deviations {side} its training years, {distance:.2f} away"
            f" where {line:.2f} would alarm: calm"
        )
    # Close to the mean only the width can have changed.
    width = f", spread {_factor(spread_shift)} theirs" if abs(spread_shift) > 0.1 else ""
    return (
        f"{name} sits {abs(mean_shift):.1f} reference deviations {side} its training years{width};"
        f" {chance(p)} moved this far: drift"
    )


def _factor(log_ratio: float) -> str:
    return f"{2.718281828459045**log_ratio:.1f} times"


def feature_gaps(name: str, *, missing: float, shift: float, is_alarm: bool) -> str:
    """How much of a feature is unknown."""
    verdict = "drift" if is_alarm else "calm"
    before = _share(missing - shift)
    return f"{name} is unknown for {_share(missing)} of stocks, {before} in its training years: {verdict}"


def nothing_to_compare(name: str) -> str:
    """A feature that the training years hardly knew."""
    return f"{name} was hardly known in the training years: nothing to compare"


def stability(name: str, *, index: float, moderate: float, large: float) -> str:
    """The population stability index in the textbook's words."""
    word = "large" if index >= large else "moderate" if index >= moderate else "small"
    return f"population stability index of {name} is {index:.2f}, {word} by the textbook ({moderate} and {large})"


def model_inputs(
    name: str,
    *,
    features: int,
    moved: Sequence[str],
    gone: Sequence[str],
    share: float,
    line: float,
    is_alarm: bool,
    since: tuple[date, date],
) -> str:
    """What has become of everything that a model reads."""
    parts = []
    if gone:
        parts.append(f"{len(gone)} by gaps, for instance {gone[0]}")
    if moved:
        parts.append(f"{len(moved)} moved, for instance {moved[0]}")
    told = f" ({'; '.join(parts)})" if parts else ""
    return (
        f"{len(gone) + len(moved)} of the {features} features that {name} reads have drifted from"
        f" {since[0].year}-{since[1].year}{told}: {_share(share)} of what it uses, where {_share(line)} alarms:"
        f" {'drift' if is_alarm else 'calm'}"
    )


def performance(
    name: str, what: str, *, value: float, usual: float | None, sessions: int, p: float | None, is_alarm: bool
) -> str:
    """A measure of how a model does beside what it used to be."""
    before = f", {usual:+.3f} before" if usual is not None else ""
    odds = f"; {chance(p)} were as bad" if p is not None else ""
    verdict = f": {'drift' if is_alarm else 'calm'}" if p is not None else ""
    return f"{what} of {name} is {value:+.3f} over its last {sessions} judged sessions{before}{odds}{verdict}"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"
