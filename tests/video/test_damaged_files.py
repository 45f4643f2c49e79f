"""The benchmark of damaged files, made small: each kind of damage, read in a process with limits."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "damaged_files.py"


def test_damaged_files_are_read_as_far_as_they_go_or_refused_with_a_reason(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--count", "28", "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "damaged_files.json").read_text())
    assert len({row["damage"] for row in rows}) == 7
    assert {row["outcome"] for row in rows} == {"read", "refused"}
    assert all(row["reason"].startswith(row["file"]) for row in rows if row["outcome"] == "refused")
    assert any(row["warnings"] for row in rows if row["outcome"] == "read")
