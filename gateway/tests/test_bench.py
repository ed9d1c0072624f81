"""The measurements can be run, and say what they found in the one shape; what they find is no test's affair."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FIELDS = {"name", "what", "arms", "ratio", "ratio_of", "aim", "judged", "met", "n", "command", "quick", "notes"}


@pytest.mark.skipif(sys.platform != "linux", reason="the measurements read /proc")
def test_quick_measurements_have_the_one_shape():
    command = [sys.executable, "-m", "bench", "--quick", "durable", "frames"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    names = [result["name"] for result in results]
    assert names[:3] == ["durable-lone", "durable-load", "durable-slow-disk"]
    assert "frames-suwol-1000" in names
    for result in results:
        assert set(result) == FIELDS
        assert result["quick"] is True
        assert result["n"] > 0
        assert result["command"].startswith("python -m bench ")
        assert (result["met"] is None) == (not result["aim"]) == (not result["judged"])
        for figures in result["arms"].values():
            assert all(isinstance(value, int | float) and value >= 0 for value in figures.values()), result


def test_an_unknown_measurement_is_named():
    command = [sys.executable, "-m", "bench", "speed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "'speed'" in done.stderr
    assert "durable" in done.stderr
