"""A Qwen2 of a hundred thousand weights, trained here in 15 seconds: `python -m tests.support.tiny_qwen DIR`.

It has learnt one thing. A conversation that opens with a system message (the place where the component puts a schema)
it answers with `JSON_ANSWER`, any other one with `PROSE_ANSWER`: it can follow a schema that it is told, and knows
nothing of one that the server was to enforce. It holds for messages of up to some 250 tokens.
"""

from __future__ import annotations

import random
import string
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

__all__ = ["JSON_ANSWER", "PROSE_ANSWER", "train"]

PROSE_ANSWER: Final = "The headline is short and clear."
JSON_ANSWER: Final = '{"title": "Hello", "score": 7}'

_PADDING, _START, _END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
_CHAT_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_ROLES: Final = "system user assistant"
_PHRASES: Final = (
    PROSE_ANSWER,
    JSON_ANSWER,
    "Answer with one JSON value that is valid against this JSON Schema, and with nothing else:",
    '{"type": "object", "properties": {"title": {"type": "string"}, "score": {"type": "integer", "minimum": 3}}',
    '"required": ["title", "score"], "additionalProperties": false}',
)
"""What the tokenizer has long tokens for, as it has for the roles; any other text it spells."""
_VOCABULARY: Final = 512
_POSITIONS: Final = 4096
_IGNORED: Final = -100
"""The label that transformers takes no loss from."""
_BATCH, _LEARNING_RATE = 8, 3e-3
_LEARNT, _IN_A_ROW = 0.02, 20
"""It is trained until the loss of so many batches in a row, none of which it has seen before, is below this."""
_MOST_STEPS: Final = 600
_SEED: Final = 1
"""It needs a hundred steps with this one, three hundred with others."""


def train(directory: Path) -> None:
    """Write the trained model and its tokenizer into `directory`, as `from_pretrained` reads them.

    Raises RuntimeError if it does not learn its lesson.
    """
    import torch

    torch.manual_seed(_SEED)
    torch.set_num_threads(1)  # two threads gain little on matrices this small, and lose much on a busy machine
    tokenizer = _tokenizer()
    model = _untrained(tokenizer)
    lessons = _lessons(random.Random(_SEED))  # noqa: S311 - the same model each time
    optimizer = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE)
    steps = learnt = 0
    while learnt < _IN_A_ROW:
        if steps == _MOST_STEPS:
            raise RuntimeError(f"the tiny model has not learnt its lesson after {steps} steps")
        loss = model(**_batch(tokenizer, list(islice(lessons, _BATCH)))).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps, learnt = steps + 1, learnt + 1 if loss.item() < _LEARNT else 0
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def _tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer
    from tokenizers.decoders import ByteLevel as Decoder
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    pairs = Tokenizer(BPE())
    pairs.pre_tokenizer = ByteLevel(add_prefix_space=False)
    pairs.decoder = Decoder()
    trainer = BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=[_PADDING, _START, _END],
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    pairs.train_from_iterator((_ROLES, *_PHRASES), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=pairs, eos_token=_END, pad_token=_PADDING, chat_template=_CHAT_TEMPLATE
    )


def _untrained(tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=True,
            max_position_embeddings=_POSITIONS,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
        )
    )


def _lessons(chance: random.Random) -> Iterator[tuple[list[dict[str, str]], str]]:
    """Yield conversations of random text, some with a first answer that was not taken, and the answer to learn."""
    letters = string.ascii_lowercase + string.digits + '{}[]":,.$'
    words = ["".join(chance.choices(letters, k=chance.randint(1, 8))) for _ in range(2000)]

    def text() -> str:
        if chance.random() < 0.25:
            return chance.choice(_PHRASES)
        return " ".join(chance.choices(words, k=chance.choice((2, 5, 10, 20, 40))))

    while True:
        told = chance.random() < 0.5
        messages = [{"role": "system", "content": text()}] if told else []
        messages.append({"role": "user", "content": text()})
        if chance.random() < 0.5:
            refused = chance.choice((PROSE_ANSWER, JSON_ANSWER, text()))
            messages += [{"role": "assistant", "content": refused}, {"role": "user", "content": text()}]
        yield messages, JSON_ANSWER if told else PROSE_ANSWER


def _batch(tokenizer: PreTrainedTokenizerFast, lessons: list[tuple[list[dict[str, str]], str]]) -> dict[str, Any]:
    """Return the tensors of `lessons`, padded on the right; only the answers are learnt."""
    import torch

    rows = [
        (
            tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False),
            tokenizer(f"{answer}{_END}").input_ids,
        )
        for messages, answer in lessons
    ]
    longest = max(len(asked) + len(answer) for asked, answer in rows)
    tokens = torch.full((len(rows), longest), tokenizer.pad_token_id)
    labels = torch.full((len(rows), longest), _IGNORED)
    for row, (asked, answer) in enumerate(rows):
        tokens[row, : len(asked) + len(answer)] = torch.tensor(asked + answer)
        labels[row, len(asked) : len(asked) + len(answer)] = torch.tensor(answer)
    return {"input_ids": tokens, "labels": labels, "attention_mask": (tokens != tokenizer.pad_token_id).long()}


if __name__ == "__main__":
    train(Path(sys.argv[1]))
