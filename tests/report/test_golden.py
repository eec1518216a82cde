"""The shared report in every format, compared with a file that somebody has read.

After a wanted change: `ALWRITY_DOCTOR_UPDATE_GOLDEN=1 python -m pytest tests/report/test_golden.py` rewrites the files
and fails, so that no run which wrote its own expectation counts as a success. Then read the difference, and run again.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alwrity_doctor.report import FORMATS, render
from tests.support.shared_report import shared_report

GOLDEN = Path(__file__).with_name("golden")
FILES = {
    "text": "shared.txt",
    "json": "shared.json",
    "junit": "shared.xml",
    "sarif": "shared.sarif",
    "markdown": "shared.md",
    "github": "shared.github.txt",
    "codequality": "shared.codequality.json",
    "html": "shared.html",
}


def test_every_format_has_a_golden_file() -> None:
    """A new format cannot go without one, and no file outlives its format."""
    assert set(FILES) == set(FORMATS)
    assert {path.name for path in GOLDEN.iterdir()} == set(FILES.values())


@pytest.mark.parametrize("name", FILES)
def test_the_output_is_the_golden_file(name: str) -> None:
    """A change of any format, wanted or not, is seen in a reviewable difference."""
    path = GOLDEN / FILES[name]
    output = render(shared_report(), name, width=100).encode()
    if os.environ.get("ALWRITY_DOCTOR_UPDATE_GOLDEN"):
        path.write_bytes(output)
        pytest.fail(f"{path.name} was rewritten: read the difference, then run without ALWRITY_DOCTOR_UPDATE_GOLDEN")
    assert output.decode() == path.read_bytes().decode()
