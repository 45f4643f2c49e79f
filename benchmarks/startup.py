"""How long Python needs for `import polyreel` and `polyreel --help`: both are to take under 0.3 s.

    .venv/bin/python benchmarks/startup.py

Every start is a process of its own, with compiled files on disk; the seconds are of the processor, so that what else
runs on the machine counts little. Writes `results/startup.json`.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
STARTS = 20
PROGRAMS = {
    "python alone": "",
    "import polyreel": "import polyreel",
    "polyreel --help": "from polyreel.cli import main; main(['--help'])",
}
REPORT = "import sys, time; print(time.process_time(), file=sys.stderr)"


def seconds(program: str) -> float:
    """Return the processor seconds of one start."""
    command = [sys.executable, "-c", f"{program}\n{REPORT}"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stderr)


def main() -> None:
    """Time the programs in turn, so that a slow minute of the machine hits all of them."""
    measured: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for start in range(STARTS + 1):
        for name, program in PROGRAMS.items():
            found = seconds(program)
            if start:  # the first one compiles
                measured[name].append(found)
    result = {
        name: {"median_seconds": round(statistics.median(found), 3), "worst_seconds": round(max(found), 3)}
        for name, found in measured.items()
    }
    for name, found in result.items():
        print(f"{name}: {found['median_seconds']} s, at worst {found['worst_seconds']} s", flush=True)
    (ROOT / "results" / "startup.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
