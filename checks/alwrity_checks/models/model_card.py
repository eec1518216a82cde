"""What a model's card and its tokenizer's settings say: licence, languages, how a conversation is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from alwrity_checks.redaction import scrub

__all__ = ["Card", "read_card", "template_kind"]

_HEAD: Final = re.compile(r"\A---\s*\n(.*?)(?:^---\s*$|\Z)", re.DOTALL | re.MULTILINE)
_FIELD: Final = re.compile(r"^(license|license_name|language):[ \t]*(.*)$", re.MULTILINE)
_ITEM: Final = re.compile(r"-[ \t]*(['\"]?)([A-Za-z-]{2,16})\1[ \t]*$")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9 ._+-]{0,63}")
_MARKS: Final = ((b"<|im_start|>", "chatml"), (b"<|user|>", "zephyr"))


@dataclass(frozen=True, slots=True)
class Card:
    """The head of a model card."""

    licence: str | None = None
    languages: tuple[str, ...] = ()


def read_card(text: bytes) -> Card:
    """Return what the head of a model card says; nothing of what is written in no plain manner. Never raises.

    Only `license`, `license_name` (where the former is `other`) and `language` are read, of the subset of YAML in
    which the hub's cards are written.
    """
    head = _HEAD.match(text.decode("utf-8", "replace").replace("\r\n", "\n"))
    if head is None:
        return Card()
    found = {field[1]: (field[2].strip(), field.end()) for field in _FIELD.finditer(head[1])}
    licence = _plain(found.get("license", ("", 0))[0])
    if licence == "other":
        licence = _plain(found.get("license_name", ("", 0))[0]) or licence
    inline, after = found.get("language", ("", len(head[1])))
    languages = [word.strip(" '\"") for word in inline.strip("[]").split(",")] if inline else _items(head[1][after:])
    return Card(licence, tuple(one for one in languages if re.fullmatch(r"[A-Za-z-]{2,16}", one)))


def template_kind(settings: bytes) -> str | None:
    """Return how a conversation is written, by the beginning of `tokenizer_config.json` or `chat_template.jinja`.

    `chatml` (Qwen), `zephyr` (TinyLlama), `other`; None where there is no template.
    """
    if b"chat_template" not in settings and b"{%" not in settings:
        return None
    return next((kind for mark, kind in _MARKS if mark in settings), "other")


def _plain(text: str) -> str | None:
    word = text.strip("'\"")
    return scrub(word) if _WORD.fullmatch(word) else None


def _items(text: str) -> list[str]:
    items = []
    for line in text.splitlines()[1:]:
        item = _ITEM.match(line.strip())
        if item is None:
            break
        items.append(item[2])
    return items
