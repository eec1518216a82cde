"""What a component's own events say: no inference is needed, for the component names the reason.

Here and not in `causes.toml`: the texts of these causes are those of the rules that the reasons break.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.logs.causes import Named, often
from alwrity_checks.logs.signatures import Kind, by_id
from alwrity_checks.logs.times import NOWHERE, Shift, Times
from alwrity_checks.logs.triage import Nature

if TYPE_CHECKING:
    from alwrity_checks.logs.seen import Seen

__all__ = ["MARK", "found"]

MARK: Final = b" event="
"""With this a component's event begins; see `alwrity_checks.events`. Without the space the query of an address that
somebody asks for, `/?event=…` in an access line, would be one."""
_TOLD: Final = frozenset({Kind.CAUSE, Kind.SYMPTOM, Kind.ALARM})
_SAME: Final = Shift(NOWHERE, 0, absolute=True)
_FORGED: Final = frozenset(
    {"token-invalid-signature", "alg-none", "alg-symmetric-confusion", "embedded-key", "issuer-mismatch-lookalike"}
)
"""No setting of an honest front end brings these about."""
_SET: Final = ("HF001", "HF01", "HF02", "HF03", "HF04", "HF05", "TXT07", "MDL02", "MDL03")
"""Rules, by their first letters, that a setting, a key, a name or a package breaks."""


def found(seen: Seen) -> Iterator[Named]:
    """Yield one cause for each event and reason that breaks a rule."""
    from alwrity_checks.catalogue import rules
    from alwrity_checks.logs.diagnosis import rule_said

    for (name, variant), held in seen.tallies.items():
        signature = by_id()[name]
        code = rule_said(signature, variant, held)
        if signature.kind not in _TOLD or not signature.literal.startswith(MARK) or code is None:
            continue
        rule = rules()[code]
        times = Times()
        times.join(held.tally.times, _SAME)
        title = f"{signature.meaning}: {variant}" if variant else signature.meaning
        yield Named(
            f"{name}:{variant}" if variant else name,
            signature.issue,
            code,
            _nature(name, variant, code),
            title,
            times,
            (f"{often(times.count)} event={name}{f' reason={variant}' if variant else ''}: the component says so",),
            rule.remedy,
            (rule.validation,),
        )


def _nature(name: str, variant: str, code: str) -> Nature:
    if name == "auth.verification-off" or variant in _FORGED:
        return Nature.ATTACK
    if name == "auth.token-refused" or code.startswith(_SET):
        return Nature.CONFIGURATION
    return Nature.OUTSIDE
