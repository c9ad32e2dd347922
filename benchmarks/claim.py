"""A claim: what ours costs or achieves, what the peer does in the same run, and the bar between the two."""

import gc
import json
import math
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """One measured sentence; `ratio` is ours / peer, and `ok` tells whether it stands on the right side of `bar`."""

    claim: str
    ours: float
    peer: float
    ratio: float
    bar: float
    ok: bool
    unit: str

    def to_json(self) -> str:
        """The claim as one line of JSON; numbers to six significant digits, and never NaN (which is not JSON)."""
        rounded = {
            name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in asdict(self).items()
        }
        return json.dumps(rounded, allow_nan=False, ensure_ascii=False)


def _ratio(ours: float, peer: float) -> float:
    if not (math.isfinite(ours) and math.isfinite(peer) and peer > 0):
        raise ValueError(f"a claim needs finite numbers and a positive peer, got ours={ours!r}, peer={peer!r}")
    return ours / peer


def at_most(claim: str, *, ours: float, peer: float, bar: float, unit: str) -> Claim:
    """The claim that ours is at most `bar` times the peer: for costs such as CPU seconds or bytes."""
    ratio = _ratio(ours, peer)
    return Claim(claim, ours, peer, ratio, bar, ok=ratio <= bar, unit=unit)


def at_least(claim: str, *, ours: float, peer: float, bar: float, unit: str) -> Claim:
    """The claim that ours is at least `bar` times the peer: for yields such as rows a second."""
    ratio = _ratio(ours, peer)
    return Claim(claim, ours, peer, ratio, bar, ok=ratio >= bar, unit=unit)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work cost: CPU seconds of this process, its threads and its finished children; wall seconds."""

    cpu_s: float
    wall_s: float


def _cpu_seconds_so_far() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _run_once(work: Callable[[], object]) -> Cost:
    gc.collect()
    cpu, wall = _cpu_seconds_so_far(), time.perf_counter()
    work()
    return Cost(_cpu_seconds_so_far() - cpu, time.perf_counter() - wall)


def _cheapest(costs: list[Cost]) -> Cost:
    return Cost(min(cost.cpu_s for cost in costs), min(cost.wall_s for cost in costs))


def cost_of(work: Callable[[], object], *, best_of: int = 3) -> Cost:
    """The cheapest of `best_of` runs: noise of a busy machine only ever adds."""
    return _cheapest([_run_once(work) for _ in range(best_of)])


def side_by_side(ours: Callable[[], object], peer: Callable[[], object], *, best_of: int = 3) -> tuple[Cost, Cost]:
    """The cheapest of `best_of` runs of each, taken in turns, so that both meet the same machine."""
    pairs = [(_run_once(ours), _run_once(peer)) for _ in range(best_of)]
    return _cheapest([pair[0] for pair in pairs]), _cheapest([pair[1] for pair in pairs])
