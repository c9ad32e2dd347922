"""The tables of `docs/results.md`, from what the jobs answer. Every cell is text, so that two runs can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ml_models.comparison import Line, Spread, Table
from registry.drift_history import YearOfAlarms
from registry.portrait import Portrait
from rl_trading.judgement import Line as AllocatorLine
from rl_trading.judgement import StrategyTable

GATE_TITLE = "What the gate says"


@dataclass(frozen=True)
class ResultTable:
    """One table: `note` names period, costs, trials and what the figures are not."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "columns": list(self.columns), "rows": [list(row) for row in self.rows]}

    def lines(self) -> list[str]:
        """As Markdown."""
        return [
            f"## {self.title}",
            "",
            self.note,
            "",
            f"| {' | '.join(self.columns)} |",
            f"|{'|'.join(' --- ' for _ in self.columns)}|",
            *(f"| {' | '.join(row)} |" for row in self.rows),
            "",
        ]


def algorithms_table(table: Table) -> ResultTable:
    """The learning algorithms side by side, over seeds."""
    overfitting = ", ".join(f"{name} {_plain(value, '.2f')}" for name, value in table.overfitting.items())
    years = ", ".join(map(str, table.years))
    return ResultTable(
        title="What the screeners' algorithms know",
        note=(
            f"Hypothetical. Test years {years} ({table.from_on} to {table.to_on}), each trained on earlier years only;"
            f" mean ± deviation over {table.seeds} seeds (the elastic net and the plain rule have none);"
            f" {table.trials} series tried. IC and rank IC: correlation of score and return over 21 sessions, by day;"
            " excess return: best fifty less all eligible stocks, net of 5 bps half spread, impact and commission;"
            " DSR: deflated Sharpe ratio of the median seed (a pass needs 0.95). Probability that the best series of a"
            f" strategy is overfitted (PBO): {overfitting}."
        ),
        columns=(
            "strategy",
            "algorithm",
            "IC",
            "ICIR",
            "rank IC",
            "rank ICIR",
            "excess a year",
            "information ratio",
            "drawdown",
            "DSR",
        ),
        rows=tuple(_algorithm_row(line) for line in table.lines),
    )


def _algorithm_row(line: Line) -> tuple[str, ...]:
    return (
        line.strategy,
        line.algorithm,
        _spread(line.ic, ".4f"),
        _spread(line.icir, ".2f"),
        _spread(line.rank_ic, ".4f"),
        _spread(line.rank_icir, ".2f"),
        _spread(line.excess_return_annual, ".1%"),
        _spread(line.information_ratio, ".2f"),
        _spread(line.drawdown_max, ".1%"),
        _plain(line.deflated_sharpe, ".2f"),
    )


def verdicts_table(portraits: Sequence[Portrait]) -> ResultTable:
    """The gate's word on every configuration of each model that may serve on the portraits' date."""
    rows = []
    for portrait in portraits:
        for version in portrait.versions:
            gate = version.gate
            if version.valid_from_on <= portrait.as_of < version.valid_to_on:
                rows.append(
                    (
                        portrait.name,
                        f"{version.algorithm} v{version.version}",
                        gate.verdict.replace("_", " "),
                        ", ".join(version.aliases) or "-",
                        f"{gate.from_on} to {gate.to_on}" if gate.sessions else "-",
                        str(gate.trials if gate.trials is not None else "-"),
                        _plain(gate.deflated_sharpe, ".3f"),
                        _plain(gate.overfitting, ".2f"),
                        gate.reason,
                    )
                )
    return ResultTable(
        title=f"{GATE_TITLE} on {portraits[0].as_of}",
        note=(
            "Hypothetical. Walk-forward returns of each configuration, net of costs, in excess of all eligible stocks"
            " (screeners) or of equal weight (allocators). Trials: every configuration of the kind that was ever"
            " trained, tuned or logged. DSR: deflated Sharpe ratio, a pass needs 0.95; PBO: probability of backtest"
            " overfitting, a pass needs 0.2 or less."
        ),
        columns=("model", "algorithm", "verdict", "role", "out of sample", "trials", "DSR", "PBO", "why"),
        rows=tuple(rows),
    )


def allocator_tables(tables: Sequence[StrategyTable]) -> list[ResultTable]:
    """All allocators of each strategy, by year and by regime."""
    return [shown for table in tables for shown in (_allocator_table(table), _regimes_table(table))]


def _allocator_table(table: StrategyTable) -> ResultTable:
    seeds = sorted(table.seeds_sharpe)
    spread = (
        f" Learned policy: mean of {len(seeds)} seeds; the seeds alone have Sharpe ratios from {seeds[0]:.2f} to"
        f" {seeds[-1]:.2f}, median {_middle(seeds):.2f}."
        if seeds
        else ""
    )
    return ResultTable(
        title=f"Allocators of {table.strategy}",
        note=(
            f"Hypothetical. {table.from_on} to {table.to_on}, {table.sessions} sessions that no fold had seen, net of"
            f" costs, each year from cash.{spread} Lead: return a year over equal weight, with the middle 90 % of a"
            " block bootstrap. The gate's table above has trials, DSR and PBO."
        ),
        columns=("allocator", "a year", "volatility", "Sharpe", "drawdown", "lead", *map(str, table.lines[0].years)),
        rows=tuple(_allocator_row(line) for line in table.lines),
    )


def _regimes_table(table: StrategyTable) -> ResultTable:
    labels = list(table.regimes)
    return ResultTable(
        title=f"Allocators of {table.strategy} by regime",
        note=(
            "Hypothetical. Mean return a session in basis points, net of costs, on the sessions above, by the regime"
            " that was read the evening before; means of few sessions say little."
        ),
        columns=("allocator", *(f"{label.replace('_', ' ')}, {table.regimes[label]['sessions']}" for label in labels)),
        rows=tuple(
            (
                line.allocator.replace("_", " "),
                *(_plain(table.regimes[label]["mean_bps"].get(line.allocator), "+.1f") for label in labels),
            )
            for line in table.lines
        ),
    )


def _allocator_row(line: AllocatorLine) -> tuple[str, ...]:
    lead = line.lead
    return (
        line.allocator.replace("_", " "),
        _plain(line.annual_return, ".1%"),
        _plain(line.annual_volatility, ".1%"),
        _plain(line.sharpe, ".2f"),
        f"{line.drawdown_max:.1%}",
        "-" if lead is None else f"{lead.observed:+.1%} ({lead.low:+.1%} to {lead.high:+.1%})",
        *(f"{gain:+.1%}" for gain in line.years.values()),
    )


def drift_table(years: Sequence[YearOfAlarms]) -> ResultTable:
    """How often drift alarms ring on real features, beside the textbook's tests."""
    return ResultTable(
        title="How often drift alarms ring",
        note=(
            "Each year held against the five before it, on the shipped data. Share of feature-months with an alarm:"
            " `moved` and `gaps` are ours (whole days placed among the reference's own months), the others the"
            " textbook's on the same values. Model months: months in which a model that uses all features alike would"
            " have been alarmed."
        ),
        columns=("year", "features", "moved", "gaps", "KS p<0.05", "PSI>0.1", "PSI>0.25", "model months"),
        rows=tuple(
            (
                str(year.year),
                str(year.features),
                *(f"{s:.1%}" for s in (year.moved, year.gaps, year.ks, year.psi_moderate, year.psi_large)),
                f"{year.model_months} of {year.months}",
            )
            for year in years
        ),
    )


def loop_table(sessions: Sequence[Mapping[str, Any]]) -> ResultTable:
    """What the loop of drift read and did, session by session."""
    return ResultTable(
        title="What the loop of drift did in the crash of 2020",
        note=(
            "Alarm, hold, retrain, judge, promote or keep, as the jobs run it at night, on the shipped data. A model is"
            " retrained once in 21 sessions at most; a fold whose inputs have left their range is kept out by the gate."
        ),
        columns=("session", "features beyond their line", "models in alarm", "what followed"),
        rows=tuple(
            (
                session["session_on"],
                f"{session['features_drifted']} of {session['features']}",
                ", ".join(model["name"] for model in session["models"] if model["state"] == "alarm") or "none",
                "; ".join(f"{one['name']}: {one['decision']}" for one in session["responses"]) or "-",
            )
            for session in sessions
        ),
    )


def disagreements(found: Sequence[ResultTable], kept: Sequence[dict[str, Any]]) -> list[str]:
    """Where two sets of tables are not the same, a line each; empty when they are."""
    told = []
    stored = {table["title"]: table for table in kept}
    for table in found:
        before = stored.pop(table.title, None)
        if before is None:
            told.append(f"{table.title}: not among the stored tables")
            continue
        if before["note"] != table.note:
            told.append(f"{table.title}: the note was {before['note']!r}, now {table.note!r}")
        rows = [list(row) for row in table.rows]
        if len(rows) != len(before["rows"]):
            told.append(f"{table.title}: {len(before['rows'])} rows were stored, now there are {len(rows)}")
        for old, new in zip(before["rows"], rows, strict=False):
            told += [
                f"{table.title}, {new[0]} {new[1]}, {name}: {was} was stored, now {now}"
                for name, was, now in zip(table.columns, old, new, strict=False)
                if was != now
            ]
    return told + [f"{title}: stored, and not found any more" for title in stored]


def _middle(values: Sequence[float]) -> float:
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def _plain(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _spread(spread: Spread, form: str) -> str:
    if spread.mean is None:
        return "-"
    return f"{spread.mean:+{form}} ± {spread.deviation:{form}}" if spread.deviation else f"{spread.mean:+{form}}"
