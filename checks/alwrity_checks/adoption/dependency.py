"""The line of a requirements file that installs what the written modules import: once, in the file's own style.

Three installs of one backend exist in ALwrity ce9bf293 (render-build.sh): `requirements.txt` for everything, and
`requirements-FEATURE.txt` for a server with one feature. All of them start the same `app.py`, so all of them need what
the faces import; a lean one gets only the extras whose packages it installs already.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from alwrity_checks.adoption.proposal import Change, Refusal
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    from alwrity_checks.adoption.sources import CheckoutSources, Overlay

__all__ = ["DISTRIBUTION", "Dependencies", "checked_origin", "dependencies"]

DISTRIBUTION: Final = "alwrity-doctor"
_MAIN: Final = "requirements.txt"
_FEATURE: Final = re.compile(r"requirements-[\w.-]+\.txt")
_SERVER: Final = "fastapi"
"""A requirements file that does not name it starts no backend."""
_COMMENT: Final = "# The components behind the modules that alwrity-doctor adopt wrote"
_FROM: Final = (
    f"pip takes {DISTRIBUTION} from the index that it is set to: look whose project has that name there. Where it "
    "has none, say where it comes from: --install-from URL."
)
"""A name that nobody has registered is anybody's."""
_ORIGIN: Final = re.compile(r"(?:git\+(?:https|ssh)|https|file)://[^\s#]+(?:#[^\s#]+)?")
"""What pip installs from, over a line on which nobody can exchange it."""
_HARMLESS_USER: Final = re.compile(r"(?:git|\$\{[A-Z0-9_]+\}|[a-z0-9-]+:\$\{[A-Z0-9_]+\})")
"""ssh's user at a forge, or a variable that pip itself exchanges for what its environment holds."""
_AN_ORIGIN: Final = "write it as pip reads it, such as git+https://HOST/OWNER/REPOSITORY@v0.1.0"
_LONGEST: Final = 60
_TRAILING: Final = re.compile(r"(?:^|\s+)#.*$")
_EGG: Final = re.compile(r"#egg=alwrity[-_.]doctor\b|/alwrity[-_.]doctor\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What is to be changed so that the extras are installed."""

    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    """1-based."""
    text: str
    requirement: Requirement | None


def checked_origin(url: str) -> str:
    """Return a URL that pip can install alwrity-doctor from, as it will stand in the requirements.

    Raises ConfigurationError for what pip cannot read, for a line that is not encrypted, and for a secret: the file is
    committed.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        parts = urlsplit(url)
        read = _ORIGIN.fullmatch(url) is not None and Requirement(f"{DISTRIBUTION} @ {url}").url == url
    except (InvalidRequirement, ValueError) as error:
        raise ConfigurationError("pip cannot install from what --install-from names", _AN_ORIGIN) from error
    if not read:
        raise ConfigurationError("--install-from names no https, ssh or file URL that pip reads", _AN_ORIGIN)
    user, _, host = parts.netloc.rpartition("@")
    if user and not _HARMLESS_USER.fullmatch(user):
        remedy = "write ${NAME} in its place: pip puts in what the environment variable NAME holds"
        raise ConfigurationError("--install-from would write a user name or password into a committed file", remedy)
    rest = parts._replace(netloc=host).geturl()
    if scrub(rest) != rest:
        raise ConfigurationError("--install-from holds what looks like a secret", "leave it to pip's own settings")
    return url


def dependencies(
    sources: CheckoutSources | Overlay, extras: Collection[str], named: Sequence[str] = (), origin: str = ""
) -> Dependencies:
    """Return the changes after which the backend's requirements install alwrity-doctor with `extras`.

    `named` are the files to change (relative to the backend's directory); else those that its servers are installed
    from. `origin` is the URL to install it from, as `checked_origin` returns it; else that is left to pip's index.
    """
    paths = list(named) or [path for path in _requirement_files(sources) if _starts_a_server(sources, path)]
    if not paths:
        remedy = "name the file that the backend is installed from: --requirements FILE"
        return Dependencies(refusals=(Refusal(_MAIN, None, "the backend has no requirements.txt", remedy),))
    changes: list[Change] = []
    notes: list[str] = []
    refusals = list(_python(sources))
    for path in paths:
        text = sources.text(path)
        if text is None:
            refusals.append(Refusal(path, None, "there is no such file", "name another one: --requirements FILE"))
            continue
        lines = list(_lines(text))
        wanted = set(extras) if path == _MAIN or path in named else set(extras) & _covered(lines, extras)
        refusals += _refusals(path, text, lines, wanted, origin)
        after = _with_line(text, lines, wanted, origin)
        if after != text:
            changes.append(Change(path, text, after))
            notes += _notes(path, lines, wanted)
            if not origin and not any(_name(line) == DISTRIBUTION for line in lines) and _FROM not in notes:
                notes.append(_FROM)
    return Dependencies(() if refusals else tuple(changes), tuple(notes), tuple(refusals))


def _requirement_files(sources: CheckoutSources | Overlay) -> Iterator[str]:
    if sources.text(_MAIN) is not None:
        yield _MAIN
    yield from sorted(path for path in sources.declarations() if _FEATURE.fullmatch(path))


def _starts_a_server(sources: CheckoutSources | Overlay, path: str) -> bool:
    return path == _MAIN or any(_name(line) == _SERVER for line in _lines(sources.text(path) or ""))


def _lines(text: str) -> Iterator[_Line]:
    from packaging.requirements import InvalidRequirement, Requirement

    for number, line in enumerate(text.split("\n"), start=1):
        told = _TRAILING.sub("", line).strip()
        try:
            requirement = Requirement(told) if told and not told.startswith("-") else None
        except InvalidRequirement:
            requirement = None
        yield _Line(number, line.rstrip("\r"), requirement)


def _name(line: _Line) -> str:
    from packaging.utils import canonicalize_name

    return "" if line.requirement is None else canonicalize_name(line.requirement.name)


def _is_ours(line: _Line) -> bool:
    """Say whether a line installs alwrity-doctor from a path or a URL; one that names it is told by its name."""
    return _EGG.search(_TRAILING.sub("", line.text)) is not None


def _own(extras: Collection[str]) -> Mapping[str, Requirement]:
    """Return what alwrity-doctor itself requires with `extras`, by name."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    try:
        declared = [Requirement(one) for one in requires(DISTRIBUTION) or ()]
    except PackageNotFoundError:  # run from its sources, without having been installed
        return {}
    environments = [{"extra": extra} for extra in ("", *extras)]
    return {
        canonicalize_name(one.name): one
        for one in declared
        if one.marker is None or any(one.marker.evaluate(environment) for environment in environments)
    }


def _covered(lines: Sequence[_Line], extras: Collection[str]) -> set[str]:
    """Return the extras of which a file installs something already."""
    names = {_name(line) for line in lines}
    base = _own(())
    return {extra for extra in extras if names & (_own((extra,)).keys() - base.keys())}


def _wanted_line(extras: Collection[str], origin: str) -> str:
    from packaging.version import Version

    shown = f"[{','.join(sorted(extras))}]" if extras else ""
    if origin:
        return f"{DISTRIBUTION}{shown} @ {origin}"
    try:
        release = Version(version(DISTRIBUTION)).release
    except PackageNotFoundError:
        return f"{DISTRIBUTION}{shown}"
    major, minor = (*release, 0)[:2]
    # Before 1.0 a minor release may change what is imported.
    below = f"{major}.{minor + 1}" if major == 0 else f"{major + 1}"
    return f"{DISTRIBUTION}{shown}>={'.'.join(map(str, release))},<{below}"


def _with_line(text: str, lines: Sequence[_Line], extras: Collection[str], origin: str) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    own = next((line for line in lines if _name(line) == DISTRIBUTION), None)
    if own is not None and own.requirement is not None:
        moved = bool(origin) and own.requirement.url != origin
        if own.requirement.extras >= set(extras) and not moved:
            return text
        parts = text.split("\n")
        line, merged = parts[own.number - 1], own.requirement.extras | set(extras)
        parts[own.number - 1] = _moved(line, own.requirement, merged, origin) if moved else _completed(line, merged)
        return "\n".join(parts)
    if any(map(_is_ours, lines)):
        return text
    ended = text if not text or text.endswith("\n") else text + newline
    blank = newline if ended and not ended.endswith(newline * 2) else ""
    return f"{ended}{blank}{_COMMENT}{newline}{_wanted_line(extras, origin)}{newline}"


def _completed(line: str, extras: Collection[str]) -> str:
    shown = ",".join(sorted(extras))
    return re.sub(r"^(\s*[\w.-]+)(?:\s*\[[^\]]*\])?", rf"\1[{shown}]", line, count=1)


def _moved(line: str, own: Requirement, extras: Collection[str], origin: str) -> str:
    """Return the line with another origin: a release that it named is the origin's to say."""
    end = "\r" if line.endswith("\r") else ""
    comment = _TRAILING.search(line.rstrip("\r"))
    marker = f" ; {own.marker}" if own.marker else ""
    return f"{_wanted_line(extras, origin)}{marker}{comment[0] if comment else ''}{end}"


def _refusals(path: str, text: str, lines: Sequence[_Line], extras: Collection[str], origin: str) -> Iterator[Refusal]:
    from packaging.requirements import Requirement

    if re.search(r"^[^#\n]*--hash=", text, re.MULTILINE):
        remedy = f"add {_wanted_line(extras, origin)} to the file that it is compiled from, then compile it again"
        yield Refusal(path, None, "its lines are pinned by hashes, so that it is made by a program", remedy)
    for line in lines:
        if origin and _is_ours(line) and _name(line) != DISTRIBUTION:
            reason = f"it installs {DISTRIBUTION} in a form in which the origin is not exchanged here"
            yield Refusal(path, line.number, reason, "take the line out, or leave --install-from out")
    ours = {**_own(extras), DISTRIBUTION: Requirement(_wanted_line(extras, origin))}
    for line in lines:
        own = ours.get(_name(line))
        if line.requirement is not None and own is not None and _exclude(line.requirement.specifier, own.specifier):
            reason = f"it installs {line.requirement.name}{line.requirement.specifier}, and the components need {own}"
            yield Refusal(path, line.number, reason.partition(";")[0], "let a release be installed that suits both")


def _exclude(theirs: SpecifierSet, ours: SpecifierSet) -> bool:
    """Say whether no release can suit both: none of those that they name, nor one just after."""
    both = theirs & ours
    named = [one.version.removesuffix(".*") for one in both]
    candidates = [candidate for one in named for candidate in (one, f"{one}.0.0.1")]
    return bool(named) and not any(both.contains(one, prereleases=True) for one in candidates)


def _python(sources: CheckoutSources | Overlay) -> Iterator[Refusal]:
    declared = re.fullmatch(r"python-3\.(\d+)(?:\.\d+)?\s*", sources.text("runtime.txt") or "")
    if declared and int(declared[1]) < 11:  # noqa: PLR2004 - what alwrity-doctor's own requires-python says
        reason = f"it declares Python 3.{declared[1]}, and the components need 3.11"
        yield Refusal("runtime.txt", 1, reason, "declare python-3.11 or later")


def _notes(path: str, lines: Sequence[_Line], extras: Collection[str]) -> Iterator[str]:
    new = sorted(set(extras) - _covered(lines, extras))
    if new:
        names = sorted(_own(new).keys() - _own(()).keys() - {_name(line) for line in lines})
        yield f"{path} installs nothing of [{','.join(new)}] yet: the line brings {', '.join(names)}."
    for line in lines:
        told = _TRAILING.sub("", line.text).strip()
        if told and line.requirement is None and not told.startswith("-") and not told.endswith("\\"):
            shown = scrub(told)[:_LONGEST]
            yield f"{path}:{line.number} ({shown}) is no requirement: pip refuses the whole file until it is corrected."
