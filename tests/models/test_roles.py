"""Roles: the default chain on different machines, and every override, good and bad."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.models.errors import ModelError
from alwrity_checks.models.facts import known_models
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.roles import AGENT, EMBEDDINGS, Role, checked_name, roles
from alwrity_checks.models.steps import Precision, Runtime
from alwrity_checks.settings import Settings

BOTH = frozenset(Runtime)
BASE = frozenset({Runtime.TRANSFORMERS})
BIG, SMALL = "Qwen/Qwen2.5-1.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct"


def role(name: str = AGENT, **environment: str) -> Role:
    """Return a role as these settings want it."""
    return roles(Settings.load(environment))[name]


def chain(
    one: Role, installed: frozenset[Runtime] = BOTH, *, native: bool = False
) -> list[tuple[str, Runtime, Precision]]:
    """Return a role's steps."""
    return [(step.model, step.runtime, step.precision) for step in one.steps(installed, native_bfloat16=native)]


def test_the_default_chain_with_both_runtimes() -> None:
    """1.5B in int4, 0.5B in int4; where that runtime fails altogether, 0.5B in what the processor likes."""
    assert chain(role()) == [
        (BIG, Runtime.ONNX, Precision.INT4),
        (SMALL, Runtime.ONNX, Precision.INT4),
    ] + [(SMALL, Runtime.TRANSFORMERS, precision) for precision in (Precision.FLOAT32, Precision.BFLOAT16)]


def test_the_default_chain_of_the_base_install() -> None:
    """Without [onnx] it is the 0.5B model: float32 first where bfloat16 is not native, as it answers sooner."""
    assert chain(role(), BASE) == [
        (SMALL, Runtime.TRANSFORMERS, Precision.FLOAT32),
        (SMALL, Runtime.TRANSFORMERS, Precision.BFLOAT16),
    ]
    assert chain(role(), BASE, native=True) == [(SMALL, Runtime.TRANSFORMERS, Precision.BFLOAT16)]


def test_nothing_installed_still_says_what_would_be_loaded() -> None:
    """An empty chain would say nothing; the full one lets each step say what it lacks."""
    assert chain(role(), frozenset()) == chain(role())


def test_no_default_is_heavier_than_it_was_meant_to_be() -> None:
    """TinyLlama, which is larger than the 0.5B model, and 3B, whose licence forbids use, are in no default chain."""
    models = {model for one in roles(Settings.load({})).values() for model in one.models}
    assert models == {BIG, SMALL, "sentence-transformers/all-MiniLM-L6-v2"}
    assert all(known_models()[model].commercial_use for model in models)


def test_another_first_model() -> None:
    """SIF_AGENT_MODEL goes before the default chain, in each runtime."""
    one = role(SIF_AGENT_MODEL="acme/model")
    assert one.models == ("acme/model", BIG, SMALL)
    assert chain(one)[0] == ("acme/model", Runtime.ONNX, Precision.INT4)
    assert [setting.name for setting in one.settings] == ["SIF_AGENT_MODEL"]
    assert str(one.settings[0].location) == "$SIF_AGENT_MODEL"


def test_other_fallbacks_and_none() -> None:
    """A list replaces the default fallbacks; an empty one leaves the first model alone."""
    one = role(SIF_AGENT_MODEL="acme/model", SIF_AGENT_FALLBACK_MODELS="acme/a, acme/b ,")
    assert one.models == ("acme/model", "acme/a", "acme/b")
    assert role(SIF_AGENT_MODEL="acme/model", SIF_AGENT_FALLBACK_MODELS="").models == ("acme/model",)
    assert role(SIF_AGENT_FALLBACK_MODELS="acme/a").models == (BIG, "acme/a")


def test_the_runtime_and_the_precision() -> None:
    """They choose among the steps, and every model of the chain keeps to them."""
    assert chain(role(SIF_AGENT_RUNTIME="transformers"))[0] == (SMALL, Runtime.TRANSFORMERS, Precision.FLOAT32)
    assert {step[1] for step in chain(role(SIF_AGENT_RUNTIME="ONNX"))} == {Runtime.ONNX}
    assert chain(role(SIF_AGENT_PRECISION="bfloat16")) == [(SMALL, Runtime.TRANSFORMERS, Precision.BFLOAT16)]
    one = role(SIF_AGENT_MODEL="acme/m", SIF_AGENT_RUNTIME="transformers", SIF_AGENT_PRECISION="float16")
    assert chain(one)[0] == ("acme/m", Runtime.TRANSFORMERS, Precision.FLOAT16)


def test_the_embeddings_model_and_its_older_name() -> None:
    """SIF_EMBEDDINGS_MODEL wins over ALWRITY_TXTAI_MODEL; MiniLM has a short name."""
    assert role(EMBEDDINGS, ALWRITY_TXTAI_MODEL="acme/e").models == ("acme/e",)
    assert role(EMBEDDINGS, ALWRITY_TXTAI_MODEL="acme/e", SIF_EMBEDDINGS_MODEL="acme/f").models == ("acme/f",)
    assert role(EMBEDDINGS, SIF_EMBEDDINGS_MODEL="all-MiniLM-L6-v2").models == role(EMBEDDINGS).models


@pytest.mark.parametrize(
    ("environment", "reason", "told"),
    [
        ({"SIF_AGENT_RUNTIME": "llama.cpp"}, Reason.SETTING_INVALID, "SIF_AGENT_RUNTIME"),
        ({"SIF_AGENT_PRECISION": "int3"}, Reason.SETTING_INVALID, "SIF_AGENT_PRECISION"),
        ({"SIF_AGENT_RUNTIME": "onnx", "SIF_AGENT_PRECISION": "float32"}, Reason.SETTING_INVALID, "int4"),
        ({"SIF_AGENT_RUNTIME": "transformers", "SIF_AGENT_PRECISION": "int4"}, Reason.SETTING_INVALID, "float32"),
        ({"SIF_AGENT_MODEL": "a/b/c"}, Reason.MODEL_NAME_INVALID, "SIF_AGENT_MODEL"),
        ({"SIF_AGENT_MODEL": "https://hub/a"}, Reason.MODEL_NAME_INVALID, "OWNER/NAME"),
        ({"SIF_AGENT_MODEL": "../nowhere"}, Reason.MODEL_NAME_INVALID, "does not exist"),
        ({"SIF_AGENT_FALLBACK_MODELS": "Qwen/a b"}, Reason.MODEL_NAME_INVALID, "SIF_AGENT_FALLBACK_MODELS"),
        ({"SIF_EMBEDDINGS_MODEL": "x--y"}, Reason.MODEL_NAME_INVALID, "SIF_EMBEDDINGS_MODEL"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(environment: dict[str, str], reason: Reason, told: str) -> None:
    """The error names the setting, where it came from, and what would be right."""
    with pytest.raises(ModelError) as caught:
        roles(Settings.load(environment))
    assert caught.value.reason is reason
    assert told in f"{caught.value.diagnosis} {caught.value.remedy}"
    assert caught.value.remedy


def test_blank_settings_are_no_settings() -> None:
    """A variable that is set to blanks chooses nothing."""
    blank = dict.fromkeys(("SIF_AGENT_MODEL", "SIF_AGENT_RUNTIME", "SIF_AGENT_PRECISION", "SIF_EMBEDDINGS_MODEL"), " ")
    assert role(**blank).candidates == role().candidates
    assert role(EMBEDDINGS, **blank) == role(EMBEDDINGS)


def test_a_directory_is_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory is named by its path, absolute from then on; a hub's name stays as it is."""
    (tmp_path / "my" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert checked_name("./my/model") == checked_name("my/model") == str(tmp_path / "my" / "model")
    assert checked_name(" Qwen/Qwen2.5-0.5B-Instruct ") == SMALL
    assert checked_name("gpt2") == "gpt2"


@given(st.text(max_size=40))
def test_whatever_is_given_for_a_name(text: str) -> None:
    """Every text is a name, a directory, or refused as ours; nothing else is raised."""
    try:
        name = checked_name(text)
    except ModelError:
        with pytest.raises(ModelError) as caught:
            checked_name(text)
        assert caught.value.reason is Reason.MODEL_NAME_INVALID
        assert caught.value.remedy
    else:
        assert name.strip() == name
        assert ".." not in name


def test_preferring_a_model() -> None:
    """A caller's own model goes first, once, and the rest of the chain stays."""
    assert role().preferring("acme/m").models == ("acme/m", BIG, SMALL)
    assert role().preferring(SMALL).models == (SMALL, BIG)
    with pytest.raises(ModelError):
        role().preferring("no such name")
