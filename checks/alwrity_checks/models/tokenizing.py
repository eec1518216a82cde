"""Text to tokens and back, the same for every runtime.

The tokenizer is read from tokenizer.json without torch, whose import alone would cost an int4 model 190 MiB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from alwrity_checks.errors import MissingExtra
from alwrity_checks.models.errors import AnswerFailed, LoadFailed
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.failures import failure, remedy
from alwrity_checks.models.runtimes.files import ends_of
from alwrity_checks.redaction import scrub

__all__ = ["Detokenizer", "Prompt", "ends_of_model", "load_tokenizer", "messages_of", "tokens_of"]

Prompt: TypeAlias = str | Sequence[Mapping[str, str]]
"""A text, which becomes the user's message; or a conversation: `[{"role": "user", "content": "…"}]`."""

_HALF: Final = "\N{REPLACEMENT CHARACTER}"
_LONGEST: Final = 4
"""Bytes of a character in UTF-8: so many tokens can belong to one."""


def load_tokenizer(directory: Path) -> Any:  # noqa: ANN401 - transformers is not typed
    """Return the fast tokenizer in `directory`, with its chat template.

    Raises LoadFailed: FILE_MISSING, FILE_CORRUPT, LOAD_FAILED; MissingExtra.
    """
    path = directory / "tokenizer.json"
    if not path.is_file():
        raise LoadFailed(Reason.FILE_MISSING, f"{path} is missing", remedy(Reason.FILE_MISSING))
    try:
        from transformers import PreTrainedTokenizerFast
    except ModuleNotFoundError as error:
        raise MissingExtra("models", "a tokenizer") from error
    try:
        return PreTrainedTokenizerFast.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        found = failure(error, f"reading the tokenizer in {directory}")
        if isinstance(found, LoadFailed) and found.reason is Reason.LOAD_FAILED:
            raise LoadFailed(Reason.FILE_CORRUPT, found.diagnosis, remedy(Reason.FILE_CORRUPT)) from error
        raise found from error


def ends_of_model(directory: Path, tokenizer: Any) -> frozenset[int]:  # noqa: ANN401 - transformers is not typed
    """Return the tokens that end an answer: the model's, and the tokenizer's where the model names none."""
    ends = ends_of(directory)
    if not ends and tokenizer.eos_token_id is not None:
        ends = frozenset({int(tokenizer.eos_token_id)})
    return ends


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    """Return a prompt as a conversation. Raises AnswerFailed where it is neither a text nor one."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    given: object = prompt
    messages = [dict(one) for one in given if _is_message(one)] if isinstance(given, Sequence) else []
    if not messages or len(messages) != len(prompt):
        raise AnswerFailed(
            Reason.SETTING_INVALID,
            "the prompt is neither a text nor a list of messages",
            'give a text, or [{"role": "user", "content": "…"}]',
        )
    return messages


def _is_message(one: object) -> bool:
    return isinstance(one, Mapping) and all(isinstance(one.get(name), str) for name in ("role", "content"))


def tokens_of(tokenizer: Any, prompt: Prompt, *, template: bool = True) -> list[int]:  # noqa: ANN401 - not typed
    """Return the tokens of a prompt, in the model's chat template where it has one.

    Raises AnswerFailed where a conversation cannot be put into the template.
    """
    if isinstance(prompt, str) and not (template and tokenizer.chat_template):
        return _tokens(tokenizer, prompt, return_attention_mask=False)
    messages = messages_of(prompt)
    if not tokenizer.chat_template:
        raise AnswerFailed(
            Reason.CONFIG_UNUSABLE, "the model has no chat template, and was given messages", "give it a text"
        )
    try:
        text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    except Exception as error:  # a template is the model's own program, and may raise anything
        raise AnswerFailed(
            Reason.CONFIG_UNUSABLE,
            f"the model's chat template refuses these messages: {scrub(str(error))}"[:300],
            "give one message with the role user, or a text",
        ) from error
    return _tokens(tokenizer, text, add_special_tokens=False, return_attention_mask=False)


def _tokens(tokenizer: Any, text: str, **settings: bool) -> list[int]:  # noqa: ANN401 - not typed
    try:
        return [int(one) for one in tokenizer(text, **settings)["input_ids"]]
    except (TypeError, UnicodeError) as error:  # of half a surrogate pair, which is no text in UTF-8
        raise AnswerFailed(
            Reason.SETTING_INVALID, "the prompt holds characters that are none in UTF-8", "correct its encoding"
        ) from error


class Detokenizer:
    """Turns tokens into text as they come, and never shows a character before it is whole.

    A token's text depends on its neighbours (sentencepiece drops the first space of what it decodes), so a window of
    the last tokens is decoded with the new one and without it, and the difference is what it adds.
    """

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 - transformers is not typed
        """Take the tokenizer; special tokens add nothing to the text."""
        self._tokenizer = tokenizer
        self._window: list[int] = []
        self._shown = 0
        """How many tokens of the window have been shown."""

    def push(self, token: int) -> str:
        """Return what `token` completes: often a word, sometimes nothing yet."""
        self._window.append(token)
        before = self._decode(self._window[: self._shown])
        after = self._decode(self._window)
        if after.endswith(_HALF) and len(self._window) - self._shown < _LONGEST:
            return ""
        self._window = self._window[self._shown :]
        self._shown = len(self._window)
        return after[len(before) :]

    def finish(self) -> str:
        """Return what is left: nothing of a character that is not whole."""
        before = self._decode(self._window[: self._shown])
        after = self._decode(self._window)
        self._window, self._shown = [], 0
        return after[len(before) :].rstrip(_HALF)

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))
