"""All leak probes in a row: what each looked at, what it found, how long it took."""

import time
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from core.progress import Progress
from mlops.leaks import probes, stored
from mlops.leaks.probes import Subject
from mlops.leaks.stored import Stored
from quant.guards import Finding, Probe, Status

_CUTS_EACH, _CUTS_DEEP, _CUTS_STORED = 2, 4, 1
# A thorough audit cuts time this much more often.
_THOROUGH = 6
Probed = TypeVar("Probed")


@dataclass(frozen=True)
class ProbeReport:
    """What one probe did. `left_out` is the reason where its status is not_run."""

    name: str
    proves: str
    is_required: bool
    status: Status
    looked_at: str
    findings: tuple[Finding, ...]
    left_out: str | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        findings = [
            {"where": f.where, "text": f.text, "evidence": {name: _plain(value) for name, value in f.evidence.items()}}
            for f in self.findings
        ]
        return {**self.__dict__, "findings": findings}


def _plain(value: Any) -> Any:
    """Dates and numbers as JSON has them; what it cannot hold as text."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and value != value:
        return "unknown"
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def run_probes(*, as_of: date, is_deep: bool, progress: Progress) -> list[ProbeReport]:
    """Probe the code on a made-up market, then what is stored up to `as_of`; `is_deep` cuts time far more often."""
    times = _THOROUGH if is_deep else 1
    subject = Subject(cuts_each=_CUTS_EACH * times, cuts_deep=_CUTS_DEEP * times)
    rows = Stored(as_of, _CUTS_STORED * times)
    total = len(probes.PROBES) + len(stored.PROBES)
    reports: list[ProbeReport] = []
    for probe in probes.PROBES:
        progress(f"probing {probe.name}", len(reports), total)
        reports.append(report_on(probe, subject))
    for row_probe in stored.PROBES:
        progress(f"probing {row_probe.name}", len(reports), total)
        reports.append(report_on(row_probe, rows))
    progress("probed", total, total)
    return reports


def report_on(probe: Probe[Probed], subject: Probed) -> ProbeReport:
    """Run one probe and time it."""
    begun = time.perf_counter()
    checked = probe.run(subject)
    return ProbeReport(
        name=probe.name,
        proves=probe.proves,
        is_required=probe.is_required,
        status=checked.status,
        looked_at=checked.looked_at,
        findings=checked.findings,
        left_out=checked.blind if checked.status == "not_run" else None,
        seconds=round(time.perf_counter() - begun, 2),
    )
