"""The audit as a page of Markdown."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from mlops.leaks.audit import ProbeReport

_WORDS = {"clean": "clean", "found": "**LEAK**", "not_run": "not run"}
_FINDINGS_SHOWN = 20


def page_of(
    reports: Sequence[ProbeReport], *, as_of: date, verdict: str, reason: str, code_hash: str, code_commit: str
) -> str:
    """The page: verdict first, then a line a probe, then what was found and what was left out."""
    counts = {status: sum(report.status == status for report in reports) for status in _WORDS}
    lines = [
        "# Leak audit",
        "",
        f"**{verdict.replace('_', ' ')}**: {reason}. {counts['clean']} probes clean, {counts['found']} found a leak,"
        f" {counts['not_run']} did not run; a probe that did not run proves nothing.",
        "",
        f"As of {as_of}, code {code_commit}, hash of the probed sources `{code_hash[:16]}`."
        f" {sum(report.seconds for report in reports):.0f} s. Probes of the code try it on a made-up market, the others"
        " look at stored rows.",
        "",
        "| probe | result | what a clean result means | looked at | s |",
        "| --- | --- | --- | --- | ---: |",
        *(_line(report) for report in reports),
    ]
    lines += _findings(reports)
    return "\n".join(lines) + "\n"


def _line(report: ProbeReport) -> str:
    looked_at = f"nothing: {report.left_out}" if report.status == "not_run" else report.looked_at
    name = report.name if report.is_required else f"{report.name} (stored rows)"
    return f"| {name} | {_WORDS[report.status]} | {report.proves} | {looked_at} | {report.seconds:.1f} |"


def _findings(reports: Sequence[ProbeReport]) -> list[str]:
    lines = []
    for report in reports:
        if report.findings:
            lines += ["", f"## {report.name}", ""]
            lines += [
                f"- {found['text']}{_evidence(found['evidence'])}"
                for found in report.as_dict()["findings"][:_FINDINGS_SHOWN]
            ]
            if len(report.findings) > _FINDINGS_SHOWN:
                lines.append(f"- and {len(report.findings) - _FINDINGS_SHOWN} more")
    return lines


def _evidence(evidence: Mapping[str, Any]) -> str:
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in evidence.items())
    return f" ({said})" if said else ""
