"""What a secret looks like in a log: by its own form, or by the name before it.

Each shape names its kind, a regular expression on text whose group `value` (or the whole match) is what must not be
shown, and whether it is secret, personal or public. The expressions never begin with an unbounded repetition: a line
of 100 MB is read as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = [
    "CLASSES",
    "CREDENTIAL",
    "KINDS",
    "MASK",
    "SHAPES",
    "VARIABLE",
    "WRAPPED",
    "Class",
    "Shape",
    "harmless",
    "listed",
]


class Class(StrEnum):
    """What becomes of a sighting."""

    SECRET = "secret"  # noqa: S105 - a class of values, not one of them
    PERSONAL = "personal"
    """Identifies somebody and opens nothing; equal ones stay equal."""
    PUBLIC = "public"
    """Counted, and left in place."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One way in which a secret stands in a line."""

    kind: str
    pattern: re.Pattern[str]
    needs: tuple[str, ...]
    """Lower-case texts of which a matching line holds one: cheaper to look for than the pattern."""
    of: Class = Class.SECRET
    lower: bool = False
    """Whether the pattern is for the line in lower case."""


def listed(words: str) -> tuple[str, ...]:
    """Return the words of a text: a tuple of a hundred strings would fill a page."""
    return tuple(words.split())


_WORDS: Final = frozenset(
    listed(
        """
        none null nil true false yes no on off set unset present missing configured found ok invalid valid expired
        required provided enabled disabled default empty undefined hidden redacted masked removed str string bool bytes
        int unknown not is was has the a an and or for must should cannot could failed error - -- ... * ** *** ****
        ***** ****** ******* ******** [redacted] [filtered] [hidden] <redacted> <hidden> xxx %s
        """
    )
)
"""What stands where a secret could stand: states, types, the first words of sentences, masks of others."""
_TAME: Final = re.compile(r"[<>{}\[\]()'\"\s.,;:…]*")
MASK: Final = re.compile(r"(?:[A-Za-z0-9]{1,12}[_-]){0,2}(?:eyJ|-----BEGIN [A-Z ]+-----)?(?:…@)?…#[0-9a-f]{8}")


def harmless(value: str) -> bool:
    """Say whether `value` is a word that stands where a secret could stand, or has been masked before."""
    bare = value.strip("\"'`.,;:()")
    if bare.lower() in _WORDS or _TAME.fullmatch(value) is not None:
        return True
    return not MASK.sub("", value).strip("\"' ,;}])")


_NAMES: Final = (
    r"(?:pass(?:wor[dt]|wd|phrase|code)|pwd|secret|token|api[_-]?key|apikey|access[_-]?key|private[_-]?key"
    r"|signing[_-]?key|encryption[_-]?key|account[_-]?key|auth[_-]?key|credentials?|signature|jwt|otp"
    r"|session(?:[_-]?id)?|webhook[_-]?url|connection[_-]?string|database[_-]?url|code_verifier|client_secret"
    r"|__session|__client|csrf[_-]?token)"
    r"(?:[_-](?:key|value|string|hash|header|base64|b64|id|prod|dev|test|staging|live|old|new|[0-9]{1,3}))?"
)
_QUOTED: Final = (
    r"(?:[bru]?\"(?P<value{0}>(?:[^\"\\]|\\.){{1,100000}})\"?"
    r"|[bru]?'(?P<value{1}>(?:[^'\\]|\\.){{1,100000}})'?)"
)


def _shape(kind: str, needs: str, pattern: str, of: Class = Class.SECRET, *, lower: bool = False) -> Shape:
    return Shape(kind, re.compile(pattern, re.VERBOSE | re.DOTALL), tuple(needs.split()), of, lower)


SHAPES: Final[tuple[Shape, ...]] = (
    _shape(
        "private key",
        "-----begin",
        r"""-----BEGIN\ [A-Z ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----(?!…).*?
            (?:-----END\ [A-Z ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----|\Z)""",
    ),
    _shape("token", "eyj", r"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_=-]*){0,6}"),
    # HttpBearer did not extract it, and the middleware logs its first 50 characters (ALwrity 8c2d88ef,
    # middleware/auth_middleware.py:277).
    _shape(
        "authorization header",
        "auth_header_value",
        r"auth_header_value=(?!None\b)(?P<value>.{1,400}?)(?:,\ all_headers=|\)?$)",
    ),
    _shape(
        "authorization header",
        "authorization",
        r"""authorization (?:'|")? \s{0,4} [=:] \s{0,4} (?:b?['"])?
            (?:(?:bearer|basic|token|digest|apikey|key)[ +]{1,3})? (?P<value>[^\s"',;}\])]{4,})""",
        lower=True,
    ),
    _shape("cookie", "cookie", r"""cookie (?:'|")? \s{0,4} [=:] \s{0,4} b? "(?P<value>[^"]{2,})""", lower=True),
    _shape("cookie", "cookie", r"""cookie (?:'|")? \s{0,4} [=:] \s{0,4} b? '(?P<value>[^']{2,})""", lower=True),
    _shape("cookie", "cookie", r"(?:set-)?cookie\ ?:\s{0,4}(?P<value>[^\s=\"']{1,200}=[^\"']{1,})", lower=True),
    # (b'authorization', b'...'), as an ASGI scope and the headers of httpx are shown
    _shape(
        "named secret",
        "authorization cookie token secret key password",
        r"""\( \s?b?['"] [a-z-]{0,40}(?:authorization|cookie|token|secret|api-?key|password)[a-z-]{0,20}
            ['"],\s? b?['"](?:(?:bearer|basic|token)\ )?(?P<value>[^'"]{1,})""",
        lower=True,
    ),
    _shape(
        "key of Clerk",
        "sk_ whsec_ oat_ m2m_ mt_ ak_",
        r"(?<![A-Za-z0-9])(?:sk_(?:test|live)_|whsec_|oat_|m2m_|mt_|ak_)[A-Za-z0-9_+/=-]{6,}",
    ),
    _shape(
        "token of Hugging Face",
        "hf_",
        r"(?<![A-Za-z0-9])hf_(?=[A-Za-z_-]*[0-9A-Z]|[a-z]{30})[A-Za-z0-9_+/=-]{6,}",
    ),
    _shape("publishable key", "pk_", r"(?<![A-Za-z0-9])pk_(?:test|live)_[A-Za-z0-9_+/=-]{6,}", Class.PUBLIC),
    _shape(
        "key of AWS",
        "akia asia aroa aida abia acca",
        r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])",
    ),
    _shape(
        "key of Google",
        "aiza ya29. gocspx-",
        r"(?<![A-Za-z0-9_-])(?:AIza[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{10,}|GOCSPX-[A-Za-z0-9_-]{10,})",
    ),
    _shape(
        "key of OpenAI, or of a like service",
        "sk- rk- gsk_ csk- r8_ fw_ nvapi- xai- pplx- tvly- fc-",
        r"(?<![A-Za-z0-9_-])(?:sk-|rk-|gsk_|csk-|r8_|fw_|nvapi-|xai-|pplx-|tvly-|fc-)"
        r"(?=[A-Za-z_-]{0,60}[0-9])[A-Za-z0-9_-]{16,}",
    ),
    _shape(
        "key of a code host or registry",
        "gh github_pat_ glpat- npm_ pypi-",
        r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{16,}"
        r"|npm_[A-Za-z0-9]{20,}|pypi-[A-Za-z0-9_-]{16,})",
    ),
    _shape(
        "key of another service",
        "xox rk_ dvb_ sg. sbp_ :aa",
        r"(?<![A-Za-z0-9])(?:xox[abeoprs]-[A-Za-z0-9-]{10,}|rk_(?:test|live)_[A-Za-z0-9]{8,}|dvb_[A-Za-z0-9]{6,}"
        r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|sbp_[a-f0-9]{30,}|[0-9]{8,10}:AA[A-Za-z0-9_-]{30,})",
    ),
    _shape(
        "key of another service",
        "hooks.slack.com",
        r"hooks\.slack\.com/(?:services|workflows)/(?P<value>[A-Za-z0-9/_-]{8,})",
    ),
    _shape(
        "password in a URL",
        "@",
        r"""(?:postgres(?:ql)?|mysql|mariadb|mssql|oracle|rediss?|amqps?|mongodb|clickhouse|cockroachdb)
            (?:\+[a-z0-9_]{1,20})?://(?P<value>[^\s"'<>]{1,2000})@(?=[A-Za-z0-9\[.-])""",
        lower=True,
    ),
    _shape("password in a URL", "@", r"""://(?P<value>[^\s/?\#"'<>@]{0,400}:[^\s/?\#"'<>]{1,2000})@"""),
    # In a query every name of this kind is one; elsewhere `code` and `key` are ordinary words.
    _shape(
        "token in a URL",
        "=",
        r"""[?&;](?:[a-z0-9_.-]{0,40}(?:token|jwt|session|password|passwd|secret|signature|credential|handshake|ticket|api_?key)
            |key|code|state|sig|auth|access|refresh|pw|pwd)=(?P<value>[^\s&"'\#<>]{1,})""",
        lower=True,
    ),
    _shape(
        "named secret",
        "pass pwd secret token key credential signature jwt otp session url connection code_verifier client",
        rf"""{_NAMES} (?:
              ['"]?\s{{0,8}} (?:=>|:?=)\s{{0,4}} {_QUOTED.format(1, 2)}
            | ['"]?\s{{0,8}} (?:=>|:?=) (?P<value3>[^\s"',;&)\]}}<>]{{1,}})
            | ['"]?\s{{0,4}} : \s{{0,4}} {_QUOTED.format(4, 5)}
            # With a colon and no quotes it is as often a sentence: the value is the last word, or looks like no word.
            | ['"]? :[ ]{{0,4}} (?P<value6>(?=[^\s"',;]{{0,200}}[0-9!@\#$%^&*+_=~])[^\s"',;{{}}\[\]()<>]{{4,}}
                | [^\s"',;{{}}\[\]()<>]{{3,}}(?=[,;)}}\]]|\s*$))
        )""",
        lower=True,
    ),
    # token: str = '...', as the source line in a traceback has it
    _shape(
        "named secret",
        "pass pwd secret token key credential",
        rf"{_NAMES}\s?:\s?[a-z_.\[\]|\ ]{{1,40}}=\s?{_QUOTED.format(1, 2)}",
        lower=True,
    ),
    # Without a sign between them only what no word, path or name looks like.
    _shape(
        "named secret",
        "secret passw passphrase token key",
        r"""(?i:secret(?:\ access\ key)?|password|passphrase|token|api[ _-]?key)\ (?:is\ )?
            (?P<value>(?=\S{0,200}[0-9])(?=\S{0,200}[A-Z])(?=\S{0,200}[a-z])[A-Za-z0-9/+=]{32,})""",
    ),
    _shape(
        "named secret",
        "password passphrase",
        r"""(?:password|passphrase)\ is\ (?P<value>(?=\S{0,60}[0-9])[^\s'"]{6,})""",
        lower=True,
    ),
    _shape("named secret", "curl", r"""curl\ .{0,400}?-u\ ?['"]?[^\s:'"]{1,100}:(?P<value>[^\s'"]{3,})"""),
    _shape(
        "e-mail address",
        "@",
        r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9_+][A-Za-z0-9._+-]{0,128}@[A-Za-z0-9-]{1,64}(?:\.[A-Za-z0-9-]{1,64}){0,6}\.[A-Za-z]{2,24}(?![A-Za-z0-9])",
        Class.PERSONAL,
    ),
    _shape(
        "user id",
        "_",
        r"(?<![A-Za-z0-9])(?:user|sess|org|client|mem|orgmem|sua|idn)_(?=[a-z]{0,40}[0-9A-Z])[A-Za-z0-9]{8,}",
        Class.PERSONAL,
    ),
    _shape(
        "user id",
        "user uid clerk_ sub _id tenant",
        r"""(?<![A-Za-z0-9_-])(?:user(?:[_ -]?id)?|uid|clerk_(?:user_)?id|sub|owner_id|tenant(?:_id)?|author_id)
            ['"]?\s{0,4} (?:=|(?<=['"d]):|(?<=user):) [ ]{0,4}b?['"]?
            (?P<value>[A-Za-z0-9][A-Za-z0-9_.|@+-]{0,200}[A-Za-z0-9]|[0-9])""",
        Class.PERSONAL,
        lower=True,
    ),
    _shape("user id", "(id:", r"\(ID:\ (?P<value>[^\s)]{1,200})\)", Class.PERSONAL),
    _shape(
        "user id",
        "workspace_",
        r"workspace_(?P<value>(?=[A-Za-z_-]{0,40}[0-9A-Z])[A-Za-z0-9_-]{4,200})(?=/|\\|$|\s)",
        Class.PERSONAL,
    ),
    _shape(
        "user id",
        "user",
        r"""(?<![A-Za-z0-9])(?:for|of|by|from)\ user\ (?P<value>
              (?=[A-Za-z_-]{0,80}[0-9_@])[A-Za-z0-9_.|@+-]{0,200}[A-Za-z0-9]
            | (?!input\b|authentication\b|data\b|request\b|pages\b)[A-Za-z][A-Za-z0-9]{1,60}
              (?=[.,:;)\]]|\s*$|\s(?:due|after|in)\b))""",
        Class.PERSONAL,
    ),
)
"""In the order in which a kind is given to what several of them see."""

CREDENTIAL: Final = "credential"
VARIABLE: Final = "value of a variable"
WRAPPED: Final = "secret in base64"
KINDS: Final = tuple(dict.fromkeys((*(one.kind for one in SHAPES), CREDENTIAL, VARIABLE, WRAPPED)))
"""Every kind, in the order in which they are told."""
CLASSES: Final = {
    **dict.fromkeys(KINDS, Class.SECRET),
    **{one.kind: one.of for one in SHAPES},
}
"""Kind -> what becomes of it."""
