"""`python -m benchmarks [NAME...]`: one JSON line per claim on stdout, progress on stderr, exit code 1 if one fails."""

import importlib
import json
import subprocess
import sys
from collections.abc import Sequence

from benchmarks import BENCHMARKS


def measure_here(name: str) -> bool:
    """Measure the claims of one file in this process; True when all of them hold."""
    holds = True
    for claim in importlib.import_module(f"benchmarks.{name}").measure():
        print(claim.to_json(), flush=True)
        holds = holds and claim.ok
    return holds


def measure_apart(names: Sequence[str]) -> bool:
    """Measure each file in a process of its own, so that none inherits another's memory, caches or threads."""
    holds = True
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        finished = subprocess.run([sys.executable, "-m", "benchmarks", name], stdout=subprocess.PIPE, text=True)
        sys.stdout.write(finished.stdout)
        sys.stdout.flush()
        failed = [claim["claim"] for claim in map(json.loads, finished.stdout.splitlines()) if not claim["ok"]]
        for claim in failed:
            print(f"  does not hold: {claim}", file=sys.stderr)
        if finished.returncode and not failed:
            print(f"  {name} broke off with exit code {finished.returncode}", file=sys.stderr)
        holds = holds and finished.returncode == 0
    return holds


def main(names: Sequence[str]) -> int:
    """Measure the named files, or all of them; returns the exit code."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}; known: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    holds = measure_here(names[0]) if len(names) == 1 else measure_apart(names or BENCHMARKS)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
