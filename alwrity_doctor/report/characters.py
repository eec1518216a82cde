"""Characters that deceive a terminal, a parser or a reader are spelled out: evidence comes from servers and logs."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["DECEPTIVE", "inert", "one_line", "visible"]

DECEPTIVE: Final = re.compile(
    r"""
      [\x00-\x08\x0b-\x1f\x7f-\x9f]             # controls, ANSI escapes among them; the tab and the line feed stay
    | [\u00ad\u180e\u200b\u200e\u200f\u2060-\u2064\u206a-\u206f\ufeff]  # invisible
    | [\U000e0000-\U000e007f]                   # invisible as well: tags, which spell whole sentences to a machine
    | [\u061c\u202a-\u202e\u2066-\u2069]        # reorder what is read (CVE-2021-42574)
    | [\u2028\u2029\ufff9-\ufffb]               # line and annotation controls
    | [\ud800-\udfff\ufffe\uffff]               # not in UTF-8 text, or not in XML 1.0 (section 2.2)
    """,
    re.VERBOSE,
)
_WORKFLOW_COMMAND: Final = re.compile(r"(?m)^(\s*)(?=::)|(?<=##)(?=\[)")


def visible(text: str) -> str:
    r"""Return `text` with `\n` line ends and every deceptive character as its Python escape, `\x1b` or `\u202e`."""
    return DECEPTIVE.sub(
        lambda match: match.group().encode("unicode_escape").decode("ascii"), text.replace("\r\n", "\n")
    )


def one_line(text: str) -> str:
    """Return `visible(text)` with every run of white space as one space."""
    return " ".join(visible(text).split())


def inert(text: str) -> str:
    """Return `text` with a backslash wherever a GitHub runner would see a workflow command.

    The runner obeys a line that begins with `::`, after white space too, and a `##[` anywhere in a line
    (actions/runner, `ActionCommand.TryParseV2` and `TryParse`).
    """
    return _WORKFLOW_COMMAND.sub(r"\1\\", text)
