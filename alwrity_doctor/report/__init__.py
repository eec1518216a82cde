"""The renderers: each format is a pure function of a `Report`, in a file of its own.

They read no clock, no environment and no file but their own parts; what they return ends with a newline and can be
encoded as UTF-8.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alwrity_checks.model import Report

__all__ = ["FORMATS", "render"]

FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "text": "alwrity_doctor.report.text",
        "json": "alwrity_doctor.report.json",
        "junit": "alwrity_doctor.report.junit",
        "sarif": "alwrity_doctor.report.sarif",
        "markdown": "alwrity_doctor.report.markdown",
        "github": "alwrity_doctor.report.github",
        "codequality": "alwrity_doctor.report.codequality",
        "html": "alwrity_doctor.report.html",
    }
)
"""Format -> the module whose `render(report)` writes it; imported only when asked for."""


def render(report: Report, format_name: str, *, colour: bool = False, width: int = 100) -> str:
    """Return `report` in the named format; `colour` and `width` (columns) concern the text format alone.

    Raises ConfigurationError for a format that is not in `FORMATS`.
    """
    if format_name not in FORMATS:
        known = ", ".join(FORMATS)
        raise ConfigurationError(
            f"there is no report format {format_name!r}: there are {known}", f"name one of {known}"
        )
    if format_name == "text":
        from alwrity_doctor.report import text

        return text.render(report, colour=colour, width=width)
    rendered: str = import_module(FORMATS[format_name]).render(report)
    return rendered
