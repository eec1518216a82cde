"""Working fast tokenizers with made-up tokens, in the published form, size and number of entries.

What a tokenizer costs follows from its entries, not from what they mean: `tokenizer.json` of Qwen takes ten times its
size in memory. Text survives encoding and decoding unharmed, because every byte has a token of its own.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from alwrity_checks.models.synthetic_models import SyntheticShape

__all__ = ["write_tokenizer"]

_LETTERS: Final = "eeeeeeettttttaaaaaooooooiiiiinnnnnsssshhhhrrrrdddllluuccmmwwffggyyppbbvk"
_SPACE: Final = "\u0120"
"""A space in the alphabet of byte-level tokens."""
_CONTINUING: Final = 0.2
"""The part of BERT's tokens that go on with a word."""
_UNDERLINE: Final = "\u2581"
"""A space in the alphabet of SentencePiece."""
_QWEN_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN_NAMES: Final = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
]
_QWEN_PLAIN: Final = 14
"""From this one on the added tokens of Qwen2.5 are not special."""

_CHATML: Final = (
    "{%- if messages[0]['role'] != 'system' %}"
    "{{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}"
    "{%- endif %}{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
_ZEPHYR: Final = (
    "{% for message in messages %}{% if message['role'] in ('user', 'system', 'assistant') %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token }}\n{% endif %}"
    "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>' }}\n{% endif %}{% endfor %}"
)


def write_tokenizer(directory: Path, shape: SyntheticShape, *, seed: int) -> None:
    """Write `tokenizer.json` and what belongs to it into `directory`: a second for Qwen's 151,665 entries."""
    chance = random.Random(seed)  # noqa: S311 - made-up words, not secrets
    if shape.model_type == "qwen2":
        tokenizer, settings = _qwen(shape, chance)
    elif shape.model_type == "llama":
        tokenizer, settings = _llama(shape, chance)
    else:
        tokenizer, settings = _bert(shape, chance)
    layout: dict[str, Any] = {"separators": (",", ":")} if shape.model_type == "bert" else {"indent": 2}
    text = json.dumps(tokenizer, ensure_ascii=False, **layout)
    (directory / "tokenizer.json").write_text(text, encoding="utf-8")
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def _qwen(shape: SyntheticShape, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    names = _QWEN_NAMES
    words, merges = _merged(_byte_alphabet(), _SPACE, shape.tokens - len(names), shape, chance)
    added = [_added(len(words) + number, name, special=number < _QWEN_PLAIN) for number, name in enumerate(names)]
    split = {"type": "Split", "pattern": {"Regex": _QWEN_SPLIT}, "behavior": "Isolated", "invert": False}
    tokenizer = _tokenizer(
        added=added,
        normalizer={"type": "NFC"},
        pre_tokenizer={"type": "Sequence", "pretokenizers": [split, _byte_level(use_regex=False)]},
        post_processor=_byte_level(use_regex=False),
        decoder=_byte_level(use_regex=False),
        model=_bpe(words, merges, unknown=None, byte_fallback=False),
    )
    settings = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {str(one["id"]): {k: v for k, v in one.items() if k != "id"} for one in added},
        "additional_special_tokens": names[1:_QWEN_PLAIN],
        "bos_token": None,
        "chat_template": _CHATML,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": shape.context,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    return tokenizer, settings


def _llama(shape: SyntheticShape, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    special = ["<unk>", "<s>", "</s>"]
    alphabet = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), _UNDERLINE, *sorted(set(_LETTERS))]
    words, merges = _merged(alphabet, _UNDERLINE, shape.tokens, shape, chance)
    added = [_added(number, name, special=True) for number, name in enumerate(special)]
    start = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    first, second = ({"Sequence": {"id": one, "type_id": number}} for number, one in enumerate("AB"))
    tokenizer = _tokenizer(
        added=added,
        normalizer={
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": _UNDERLINE},
                {"type": "Replace", "pattern": {"String": " "}, "content": _UNDERLINE},
            ],
        },
        pre_tokenizer=None,
        post_processor={
            "type": "TemplateProcessing",
            "single": [start, first],
            "pair": [start, first, {"SpecialToken": {"id": "<s>", "type_id": 1}}, second],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        decoder={
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": _UNDERLINE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        model=_bpe(words, merges, unknown="<unk>", byte_fallback=True),
    )
    settings = {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": "<s>",
        "chat_template": _ZEPHYR,
        "clean_up_tokenization_spaces": False,
        "eos_token": "</s>",
        "legacy": False,
        "model_max_length": shape.context,
        "pad_token": "</s>",
        "padding_side": "right",
        "tokenizer_class": "LlamaTokenizer",
        "unk_token": "<unk>",
    }
    return tokenizer, settings


def _bert(shape: SyntheticShape, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    printable = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = dict.fromkeys([*special, *printable, *("##" + letter for letter in printable)])
    while len(words) < shape.tokens:
        word = "".join(chance.choices(_LETTERS, k=max(2, round(chance.gauss(shape.token_length, 2)))))
        words["##" + word if chance.random() < _CONTINUING else word] = None
    numbers = {word: number for number, word in enumerate(words)}
    parts = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]
    opening = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
    closing = [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    tokenizer = _tokenizer(
        added=[_added(numbers[name], name, special=True) for name in special],
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor={
            "type": "TemplateProcessing",
            "single": [opening, *parts],
            "pair": [opening, *parts, *closing],
            "special_tokens": {
                name: {"id": name, "ids": [numbers[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")
            },
        },
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        model={
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": numbers,
        },
    )
    settings = {
        "cls_token": "[CLS]",
        "do_lower_case": True,
        "mask_token": "[MASK]",
        "model_max_length": shape.context,
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "tokenizer_class": "BertTokenizer",
        "unk_token": "[UNK]",
    }
    return tokenizer, settings


def _merged(
    alphabet: list[str], space: str, count: int, shape: SyntheticShape, chance: random.Random
) -> tuple[dict[str, int], list[str]]:
    """Return `count` tokens with their numbers, the alphabet first, and the merges that make them."""
    words = {word: number for number, word in enumerate(alphabet)}
    merges: dict[str, None] = {}
    # By length, whether a word may follow another (inner) or open one (opening: with the space before it, too).
    inner: dict[int, list[str]] = {1: list(_LETTERS)}
    opening: dict[int, list[str]] = {1: [*_LETTERS, *[space] * (len(_LETTERS) // 2)]}
    longest = 1
    while len(words) < count:
        wanted = min(max(2, round(chance.gauss(shape.token_length, shape.token_length / 4))), longest + 1)
        before = chance.randint(1, wanted - 1)
        if before not in opening or wanted - before not in inner:
            continue
        first, second = chance.choice(opening[before]), chance.choice(inner[wanted - before])
        word = first + second
        if word in words:
            continue
        words[word] = len(words)
        merges[f"{first} {second}"] = None
        opening.setdefault(wanted, []).append(word)
        if not word.startswith(space):
            inner.setdefault(wanted, []).append(word)
        longest = max(longest, wanted)
    # SentencePiece has a merge for every way to make a token of two others, byte-level tokens one each.
    for word in list(words)[len(alphabet) :]:
        if len(merges) >= shape.merges:
            break
        for cut in range(1, len(word)):
            if word[:cut] in words and word[cut:] in words:
                merges[f"{word[:cut]} {word[cut:]}"] = None
    return words, list(merges)[: shape.merges]


def _byte_alphabet() -> list[str]:
    """Return the 256 characters that stand for bytes in byte-level tokens, in the order of GPT-2's table."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]


def _added(number: int, name: str, *, special: bool) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}
    return {"id": number, "content": name, **flags}


def _byte_level(*, use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": use_regex}


def _bpe(words: Mapping[str, int], merges: list[str], *, unknown: str | None, byte_fallback: bool) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": unknown,
        "continuing_subword_prefix": None if byte_fallback else "",
        "end_of_word_suffix": None if byte_fallback else "",
        "fuse_unk": byte_fallback,
        "byte_fallback": byte_fallback,
        "vocab": words,
        "merges": merges,
    }


def _tokenizer(*, added: list[dict[str, Any]], **parts: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, **parts}
