"""What the lines of one verification, one request for text or one refusal mean together.

A `Machine` reads the tokens that signatures give and says, when something is over, what it was. It has a small state,
and there are tokens after which its state is the same whatever it was before. That makes the reading independent of
where a log was cut: a piece keeps the tokens up to the first such point, and they are read again when the piece before
it is known (`incidents.Story`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol, TypeAlias

__all__ = ["MACHINES", "TOKENS", "Incident", "Machine", "State", "Step", "Token"]

Token: TypeAlias = tuple[str, str]
"""What happened, and in which variant."""
State: TypeAlias = tuple[str, ...]
"""Empty at the beginning, and wherever nothing is going on."""
Incident: TypeAlias = tuple[str, ...]
"""What it was; the first word says the kind."""


class Step(NamedTuple):
    """What a token does."""

    state: State
    incidents: tuple[Incident, ...] = ()


class Machine(Protocol):
    """Reads the tokens of one subsystem."""

    def step(self, state: State, token: Token, gap: int | None) -> Step:
        """Return the next state, and what is over.

        `gap`: seconds since the state began, where both lines have a time of their own.
        """
        ...

    def end(self, state: State) -> tuple[Incident, ...]:
        """Return what is over because the log is."""
        ...

    def settles(self, head: list[Token]) -> bool:
        """Say whether the state behind these tokens is the same whatever it was before them."""
        ...

    @property
    def idle(self) -> str:
        """The token that reads the state and never changes it; empty for none."""
        ...

    @property
    def renews(self) -> bool:
        """Whether every token begins something new."""
        ...


class Verification:
    """One call of `verify_token`, which writes its lines without waiting in between.

    Tokens: reason, rejected, undecodable, failed (the 401), accepted. An incident is `("verification", reason,
    rejected, undecodable, how it ended)`.
    """

    idle = ""
    renews = False

    def step(self, state: State, token: Token, gap: int | None) -> Step:  # noqa: ARG002 - times do not matter here
        """See `Machine`."""
        what, variant = token
        reason, rejected, undecodable = state or ("", "", "")
        if what == "failed":
            return Step((), (("verification", reason, rejected, undecodable, "401"),))
        if what == "accepted":
            before = () if reason.startswith("why:") and not rejected and not undecodable else self.end(state)
            return Step((), (*before, ("verification", "" if before else reason, "", "", "accepted")))
        if what == "rejected" and not rejected and (not state or reason.startswith("why:")):
            return Step((reason, variant, undecodable))
        if what == "undecodable" and not undecodable and not rejected and (not state or reason.startswith("why:")):
            return Step((reason, rejected, "undecodable"))
        begun = {"rejected": ("", variant, ""), "undecodable": ("", "", "undecodable")}.get(what, (variant, "", ""))
        return Step(begun, self.end(state))

    def end(self, state: State) -> tuple[Incident, ...]:
        """See `Machine`."""
        return (("verification", *state, "open"),) if state else ()

    def settles(self, head: list[Token]) -> bool:
        """See `Machine`: after a reason or an end, or a second line of which a verification writes one."""
        last = head[-1][0]
        return last in {"reason", "failed", "accepted"} or any(one[0] == last for one in head[:-1])


class Generation:
    """One request for text: up to six attempts, each of which walks a list of models in one or two passes.

    Tokens: missing (a model "not found"), call (the first pass failed), attempt (an attempt failed), switched,
    provider. State: not-found lines of the first and of the second pass, whether a `%s` was printed, the first pass's
    failure, the last attempt's failure. Incidents: `("attempt", path, failure, first pass's failure, first, second,
    literal)` and `("request", provider, failure, first pass's failure)`.
    """

    idle = ""
    renews = False
    _START: Final = ("0", "0", "", "", "", "")

    def step(self, state: State, token: Token, gap: int | None) -> Step:  # noqa: ARG002 - times do not matter here
        """See `Machine`."""
        what, variant = token
        one, two, literal, call, last, last_call = state or self._START
        if what == "missing":
            if variant.startswith("plain"):
                two = _more(two)
            elif call or two != "0":
                return self.step(("0", "0", "", "", last, last_call), token, None)
            else:
                one = _more(one)
            return Step(
                (one, two, literal or ("literal" if variant.endswith("literal") else ""), call, last, last_call)
            )
        if what == "call":
            if call:
                return Step(("0", "0", "", variant, last, last_call))
            return Step((one, two, literal, variant, last, last_call))
        if what == "attempt":
            path, _, failure = variant.partition(":")
            return Step(("0", "0", "", "", failure, call), (("attempt", path, failure, call, one, two, literal),))
        if what == "switched":
            return Step(("0", "0", "", "", "", ""), (("switched",),))
        provider, _, failure = variant.partition(":")
        told = last or failure
        return Step((), (("request", provider, told, last_call if last else "", "" if last else "alone"),))

    def end(self, state: State) -> tuple[Incident, ...]:  # noqa: ARG002 - what has not failed yet is no incident
        """See `Machine`."""
        return ()

    def settles(self, head: list[Token]) -> bool:
        """See `Machine`."""
        last = head[-1][0]
        if last == "attempt":  # the state keeps the failure of its first pass, which may lie before the head
            return any(what in {"call", "attempt"} for what, _ in head[:-1])
        return last in {"switched", "provider"} or len(head) > _LONGEST_HEAD


class Index:
    """Why the index was not ready when somebody called it: the last thing that was said of its start.

    Tokens: broken (with the reason), started, restart, refused (with the level and what was asked for). An incident is
    `("refused", what, level, why)`.
    """

    idle = "refused"
    renews = True

    def step(self, state: State, token: Token, gap: int | None) -> Step:  # noqa: ARG002 - times do not matter here
        """See `Machine`."""
        what, variant = token
        if what == "refused":
            asked, _, level = variant.partition(":")
            return Step(state, (("refused", asked, level, state[0] if state else ""),))
        return Step((variant,) if what == "broken" else ())

    def end(self, state: State) -> tuple[Incident, ...]:  # noqa: ARG002 - a start that failed is counted by its own line
        """See `Machine`."""
        return ()

    def settles(self, head: list[Token]) -> bool:  # noqa: ARG002 - each token but the idle one sets the whole state
        """See `Machine`."""
        return True


class Chain:
    """One walk down the chain of local models.

    Tokens: broken (with the reason), over (loaded, cached, none), left (the caller gave up). An incident is `("chain",
    how it ended, last reason)`.
    """

    idle = ""
    renews = True

    def step(self, state: State, token: Token, gap: int | None) -> Step:  # noqa: ARG002 - times do not matter here
        """See `Machine`."""
        what, variant = token
        if what == "broken":
            return Step((variant,))
        if what == "left":
            # The line that ends a walk says it mostly; where it is missing, this one keeps the next walk apart.
            return Step((), (("chain", what, *state),) if state else ())
        return Step((), (("chain", variant, state[0] if state else ""),))

    def end(self, state: State) -> tuple[Incident, ...]:
        """See `Machine`."""
        return (("chain", "open", *state),) if state else ()

    def settles(self, head: list[Token]) -> bool:  # noqa: ARG002 - each token sets the whole state
        """See `Machine`."""
        return True


class Start:
    """How long a process was silent between its first line and the line behind the download.

    Tokens: mark (a line before the download), next (a line after it). An incident is `("gap", what was the
    mark, seconds)`: at least so many of `_GAPS`, "open" where no line followed, empty where the lines have no times.
    """

    idle = ""
    renews = True

    def step(self, state: State, token: Token, gap: int | None) -> Step:
        """See `Machine`."""
        if token[0] == "mark":
            return Step((token[1],))
        if not state:
            return Step(())
        return Step((), (("gap", *state, "" if gap is None else str(max(one for one in _GAPS if one <= max(gap, 0)))),))

    def end(self, state: State) -> tuple[Incident, ...]:
        """See `Machine`."""
        return (("gap", state[0], "open"),) if state else ()

    def settles(self, head: list[Token]) -> bool:  # noqa: ARG002 - each token sets the whole state
        """See `Machine`."""
        return True


_LONGEST_HEAD: Final = 64
_GAPS: Final = (0, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


def _more(number: str) -> str:
    return str(min(int(number) + 1, 20))


MACHINES: Final[Mapping[str, Machine]] = {
    "verification": Verification(),
    "generation": Generation(),
    "index": Index(),
    "chain": Chain(),
    "start": Start(),
}

TOKENS: Final[Mapping[str, tuple[str, str, str]]] = {
    "auth.verification-error": ("verification", "reason", "why:{variant}"),
    "auth.expired": ("verification", "reason", "why:expired{variant}"),
    "auth.issuer-mismatch": ("verification", "reason", "issuer-mismatch"),
    "auth.secret-key-missing": ("verification", "reason", "secret-key-missing"),
    "auth.fallback-disabled": ("verification", "reason", "no-verifier"),
    "auth.fallback-decode-error": ("verification", "reason", "no-verifier"),
    "auth.no-user": ("verification", "reason", "no-user"),
    "auth.verifier-error": ("verification", "reason", "verifier-error"),
    "auth.rejected-production": ("verification", "rejected", "production"),
    "auth.rejected-env": ("verification", "rejected", "env"),
    "auth.fallback-decoding-failed": ("verification", "undecodable", ""),
    "auth.verification-failed": ("verification", "failed", ""),
    "auth.accepted-unverified": ("verification", "accepted", ""),
    "hf.structured-not-found": ("generation", "missing", "first{literal}"),
    "hf.text-not-found": ("generation", "missing", "first{literal}"),
    "hf.structured-plain-not-found": ("generation", "missing", "plain{literal}"),
    "hf.api-call-failed": ("generation", "call", "{variant}"),
    "hf.structured-failed": ("generation", "attempt", "structured:{variant}"),
    "hf.text-failed": ("generation", "attempt", "text:{variant}"),
    "hf.switched": ("generation", "switched", ""),
    "hf.provider-failed": ("generation", "provider", "{provider}:{variant}"),
    "txtai.start-failed": ("index", "broken", "{variant}"),
    "txtai.missing": ("index", "broken", "missing"),
    "txtai.started": ("index", "started", ""),
    "logs.reload": ("index", "restart", ""),
    "startup.server-process": ("index", "restart", ""),
    "txtai.index-refused": ("index", "refused", "index:{level}"),
    "txtai.call-refused": ("index", "refused", "call:{level}"),
    "models.load-failed": ("chain", "broken", "{variant}"),
    "models.memory": ("chain", "broken", "memory"),
    "models.fallback-loaded": ("chain", "over", "loaded"),
    "models.fallback-cached": ("chain", "over", "cached"),
    "models.none": ("chain", "over", "none"),
    "models.agent-failed": ("chain", "left", ""),
    "startup.process": ("start", "mark", "script"),
    "startup.features": ("start", "mark", "script"),
    "startup.launched": ("start", "mark", "service"),
    "startup.summary": ("start", "next", ""),
    "startup.env-file": ("start", "next", ""),
    "auth.switches": ("start", "next", ""),
    "auth.set-up": ("start", "next", ""),
    "startup.serving": ("start", "next", ""),
}
"""Signature -> the machine that reads it, the token, and the token's variant, to be filled in from the line."""
