"""The errors a caller can meet.

DoctorError
├── ConfigurationError          a setting, file or argument is unusable                    (exit code 2)
│   └── MissingExtra            an optional dependency is needed and not installed
├── CannotCheck                 a check could not come to a verdict                        (verdict `unknown`)
├── auth.TokenRejected          a token was refused                                        (HTTP 401 or 403)
│   └── auth.KeysUnavailable    no key could be had to judge the token with                (HTTP 503)
├── hf.GenerationFailed         no deployment gave a valid value; carries the attempts
├── hf.ChainNotVerified         no deployment was seen to honour a schema; carries what was measured
└── models.ModelError           a local model cannot be had, loaded or used; see `models/errors.py`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alwrity_checks.model import Finding

__all__ = ["CannotCheck", "ConfigurationError", "DoctorError", "MissingExtra"]


class DoctorError(Exception):
    """Something went wrong that we can name; `diagnosis` says what, `remedy` what to do about it."""

    def __init__(self, diagnosis: str, remedy: str = "") -> None:
        super().__init__(diagnosis)
        self.diagnosis = diagnosis
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Copy and pickle by state: the subclasses' constructors differ."""
        return _restored, (type(self), self.args), self.__dict__


def _restored(kind: type[DoctorError], arguments: tuple[object, ...]) -> DoctorError:
    error = kind.__new__(kind)
    error.args = arguments
    return error


class ConfigurationError(DoctorError):
    """A setting, file or argument is unusable; the command line ends with exit code 2."""


class MissingExtra(ConfigurationError):  # noqa: N818 - the condition's name, like KeyboardInterrupt
    """An optional dependency is needed and not installed."""

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the extra [{extra}], which is not installed",
            f'pip install "alwrity-doctor[{extra}]"',
        )
        self.extra = extra


class CannotCheck(DoctorError):  # noqa: N818 - an outcome, not a fault of the program
    """A check could not come to a verdict: the result is `unknown`, with this reason and what was seen so far."""

    def __init__(self, diagnosis: str, remedy: str = "", findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(diagnosis, remedy)
        self.findings = findings
