"""What a command holds tokens against: the flags, and for what they do not say the backend's own settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from alwrity_checks.auth.pins import Pins
    from alwrity_checks.model import CheckResult

__all__ = ["pinned"]


def pinned(flags: Pins, files: tuple[Path, ...]) -> tuple[Pins, list[CheckResult]]:
    """Return the pins, and the results so far: settings that cannot be used are a finding, and the work goes on.

    Raises ConfigurationError for a file that cannot be read.
    """
    from alwrity_checks.auth.check_settings import jwt_key_findings, publishable_key_findings
    from alwrity_checks.auth.pins import Pins
    from alwrity_checks.model import CheckResult, Verdict
    from alwrity_checks.settings import Settings

    settings = Settings.load(env_files=files)
    try:
        return flags.over(Pins.of_settings(settings)), []
    except ConfigurationError as error:
        found = (*publishable_key_findings(settings), *jwt_key_findings(settings))
        title = "the backend's settings pin an instance"
        verdict = Verdict.of(found) if found else Verdict.UNKNOWN
        return flags, [CheckResult("settings", title, 1, verdict, found, reason=error.diagnosis, remedy=error.remedy)]
