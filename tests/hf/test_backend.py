"""A checkout's own provider is put through the scenarios: faults reproduced, absent, and what could not be known."""

from __future__ import annotations

import asyncio
import hashlib
import re
import sys
import venv
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.backend.checkout import Checkout
from alwrity_checks.backend.drivers import hf_target
from alwrity_checks.backend.driving import Surroundings, surroundings
from alwrity_checks.errors import CannotCheck
from alwrity_checks.hf.experiment import SCENARIOS, experiment
from alwrity_checks.model import Event, Observation, Outcome, TargetKind
from alwrity_checks.sandbox.conversation import play
from tests.support.hf_backends import (
    BORN,
    CONFLICT,
    CORRECTED,
    DROP_IN,
    HEAD,
    MADE_WELL,
    OLD,
    SECRET,
    write_checkout,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.sandbox.conversation import Shown
    from alwrity_checks.sandbox.target import CheckoutTarget

pytest.importorskip("openai")
pytest.importorskip("tenacity")

RESPONSES = """
import os
from openai import OpenAI

def huggingface_structured_json_response(prompt, schema, model):
    client = OpenAI(base_url="https://router.huggingface.co/v1", api_key=os.getenv("HF_TOKEN"))
    return client.responses.create(model=model, input=prompt).output_text
"""
PROSE = next(one for one in SCENARIOS if one.code == "HF094")
WRONG, WRONG_TEXT = (one for one in SCENARIOS if one.code == "HF090")
OWN, OWN_TEXT = (one for one in SCENARIOS if one.code == "HF096")


class Silent:
    """Observes nothing."""

    def notify(self, event: Event) -> None:
        """Let it pass."""


def found(root: Path, provider: str, **plan: object) -> CheckoutTarget:
    """Return a checkout with this provider, found and looked at as the command line does."""
    target = hf_target(Checkout(write_checkout(root, provider)))
    return replace(target, sandbox=replace(target.sandbox, plan={**target.sandbox.plan, **plan}))


def observed(target: CheckoutTarget) -> Sequence[Observation]:
    """Put a checkout through every scenario."""
    return asyncio.run(experiment().run(target, Silent()))


def shown(target: CheckoutTarget, *titles: str) -> dict[str, Shown]:
    """Put a checkout through the scenarios of these titles, as the experiment does."""
    numbers = [number for number, one in enumerate(SCENARIOS) if one.title in titles]

    async def played() -> dict[str, Shown]:
        told = [one async for one in play(target.sandbox, numbers, 60.0) if one.outcome is not None]
        return {SCENARIOS[one.number].title: one for one in told}

    return asyncio.run(played())


def counted(one: Observation | Shown) -> str:
    """Return how many requests were made."""
    return next(fact.value for fact in one.evidence if fact.label == "requests")


def hashes(root: Path) -> dict[str, str]:
    """Return what is in every file below a directory, directories included."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(root.rglob("*"))
    }


@pytest.mark.parametrize(("provider", "calls", "of_text"), [(OLD, "96", "48"), (HEAD, "12", "2")], ids=["OLD", "HEAD"])
def test_faults_of_a_faulty_checkout_show(provider: str, calls: str, of_text: str, tmp_path: Path) -> None:
    """Both historical states have every fault, with the requests that the rebuilt provider makes; nothing is written.

    Versions, stubs and the base URL in the source are in the evidence, and no secret of the checkout is.
    """
    target = found(tmp_path, provider)
    before = hashes(tmp_path)
    observations = observed(target)
    assert hashes(tmp_path) == before
    assert [(one.rule.code, one.scenario) for one in observations] == [(one.code, one.title) for one in SCENARIOS]
    assert {one.outcome for one in observations} == {Outcome.REPRODUCED}
    assert {(str(one.target), one.target.kind) for one in observations} == {("yours", TargetKind.BACKEND)}
    told = {one.scenario: counted(one) for one in observations if one.rule.code in {"HF090", "HF092", "HF096"}}
    assert told == {
        WRONG.title: calls,
        WRONG_TEXT.title: of_text,
        "the first provider answers 500 for good": "18",
        OWN.title: calls,
        OWN_TEXT.title: of_text,
    }
    facts = {(one.label, one.value) for one in observations[0].evidence}
    assert ("base URL of its own", "https://router.huggingface.co/hf/v1") in facts
    driven_on = next(value for label, value in facts if label == "driven on")
    assert all(name in driven_on for name in ("Python 3.", "openai ", "tenacity "))
    stubs = next(value for label, value in facts if label == "stubs")
    assert "services.llm_providers (package, its __init__ left out)" in stubs
    logged = " ".join(value for label, value in facts if label == "log")
    assert ("NameError: name 'fallback_models' is not defined" in logged) is (provider is HEAD)
    assert "refused by the sandbox" not in {label for label, _ in facts}
    assert SECRET not in str(observations)


def test_same_checkout_gives_the_same_answer(tmp_path: Path) -> None:
    """Outcome, requests and what the caller is told are the same in every run; only the clock differs a little."""
    target = found(tmp_path, HEAD)
    runs = [shown(target, WRONG.title, WRONG_TEXT.title, PROSE.title) for _ in range(3)]
    told = [{title: (one.outcome, re.sub(r"[\d.]+ s", "", one.message)) for title, one in run.items()} for run in runs]
    assert told[0] == told[1] == told[2]


def test_where_the_wrong_url_came_from_it_was_asked_six_times(tmp_path: Path) -> None:
    """Without a chain there is one request for each attempt; the base URL in the source is the wrong one already."""
    seen = shown(found(tmp_path, BORN), WRONG.title, OWN.title)
    assert {counted(one) for one in seen.values()} == {"6"}
    assert {one.outcome for one in seen.values()} == {Outcome.REPRODUCED}
    assert seen[OWN.title].message.startswith("POST /hf/v1/chat/completions is no route: 6 requests")


def test_corrected_base_url_is_seen(tmp_path: Path) -> None:
    """A checkout whose source has the right URL is free of that one fault, and of no other."""
    seen = shown(found(tmp_path, CORRECTED), WRONG.title, PROSE.title, OWN.title, OWN_TEXT.title)
    outcomes = {title: one.outcome for title, one in seen.items()}
    assert outcomes == {
        WRONG.title: Outcome.REPRODUCED,
        PROSE.title: Outcome.REPRODUCED,
        OWN.title: Outcome.ABSENT,
        OWN_TEXT.title: Outcome.ABSENT,
    }
    assert seen[OWN.title].message == "POST /v1/chat/completions was served"


@pytest.mark.parametrize("provider", [MADE_WELL, DROP_IN], ids=["own cure", "component"])
def test_cured_checkout_has_none_of_the_faults(provider: str, tmp_path: Path) -> None:
    """Somebody's own asynchronous cure and our component both come out clean, each under the historical names."""
    observations = observed(found(tmp_path, provider))
    assert {one.scenario: one.message for one in observations if one.outcome is not Outcome.ABSENT} == {}
    assert len(observations) == len(SCENARIOS)


def test_client_that_was_made_at_the_import_is_led_as_well(tmp_path: Path) -> None:
    """A provider with one client for all its calls asks the router of the experiment, on each scenario's path."""
    once = OLD.replace("\ndef variants", "\n\nCLIENT = new_client()\n\n\ndef variants")
    once = once.replace("client = new_client()", "client = CLIENT")
    seen = shown(found(tmp_path, once), WRONG.title, PROSE.title, OWN.title)
    assert {one.outcome for one in seen.values()} == {Outcome.REPRODUCED}
    assert [counted(seen[title]) for title in (WRONG.title, PROSE.title, OWN.title)] == ["96", "1", "96"]


def test_file_with_a_conflict_is_unknown(tmp_path: Path) -> None:
    """A merge left undone is named with its line before anything is run."""
    with pytest.raises(CannotCheck, match=r"huggingface_provider\.py:3 does not parse: a merge conflict"):
        observed(found(tmp_path, CONFLICT))


@pytest.mark.parametrize(
    ("elsewhere", "said"),
    [
        ("", "nothing defines huggingface_structured_json_response or huggingface_text_response"),
        ("\n\ndef huggingface_text_response(prompt): ...\n", r"text_response is defined in services/llm/router\.py:3"),
    ],
    ids=["gone", "moved"],
)
def test_checkout_without_the_module_is_unknown(elsewhere: str, said: str, tmp_path: Path) -> None:
    """A revision that has no such module is not called free of its faults; where the function went is said."""
    backend = write_checkout(tmp_path, OLD)
    (backend / "services/llm_providers/huggingface_provider.py").unlink()
    (backend / "services/llm").mkdir()
    (backend / "services/llm/router.py").write_text(elsewhere)
    with pytest.raises(CannotCheck, match=rf"no services/llm_providers/huggingface_provider\.py; .*{said}"):
        observed(hf_target(Checkout(backend)))


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
            r"-11 \(SIGSEGV\).* while the checkout's provider",
        ),
        ("raise SystemExit('no configuration')\n", "SystemExit: no configuration"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def other(): ...\n", "has no function huggingface_structured_json_response; it has other"),
        (OLD.replace("schema, model=", "schema, tenant, model="), "wants tenant"),
        (RESPONSES, "has no POST /v1/responses"),
        (
            "def huggingface_structured_json_response(prompt, schema, model): return {}\n",
            "returned an object of .*; it asked nothing of the router",
        ),
        (
            "def huggingface_structured_json_response(prompt, schema, model): __import__('threading').Event().wait()\n",
            "it did not return within 2 s",
        ),
    ],
    ids=["segfault", "exit", "import", "renamed", "parameter", "api", "idle", "hang"],
)
def test_provider_that_cannot_be_driven_is_unknown(provider: str, said: str, tmp_path: Path) -> None:
    """What dies, exits or raises at its import, is called otherwise or never works, is told so; nothing is guessed."""
    with pytest.raises(CannotCheck, match=said) as caught:
        observed(found(tmp_path, provider, patience=2))
    assert "services.llm_providers.huggingface_provider" in caught.value.remedy


def test_call_that_never_returns_is_a_finding(tmp_path: Path) -> None:
    """A provider that stands still on a wrong URL has told nobody; where an error was due, nothing follows."""
    hangs = OLD.replace("    raise last\n", "    import threading; threading.Event().wait()\n").replace(
        '        return {"error": "Failed to parse JSON response", "raw_response": text}\n',
        "        import threading; threading.Event().wait()\n",
    )
    seen = shown(found(tmp_path, hangs, patience=2), WRONG.title, PROSE.title)
    assert seen[WRONG.title].outcome is Outcome.REPRODUCED
    assert "it did not return within 2 s" in seen[WRONG.title].message
    assert seen[PROSE.title].outcome is Outcome.UNKNOWN


def test_process_that_dies_leaves_the_other_scenarios(tmp_path: Path) -> None:
    """A crash in one scenario is told with its signal, and the next is played in a process of its own."""
    dies = OLD.replace("    raise last\n", "    import os; os.abort()\n")
    seen = shown(found(tmp_path, dies), WRONG.title, PROSE.title)
    assert seen[WRONG.title].outcome is Outcome.UNKNOWN
    assert "-6 (SIGABRT)" in seen[WRONG.title].message
    assert seen[PROSE.title].outcome is Outcome.REPRODUCED


def test_retrying_for_ever_is_given_up_after_an_hour_that_nobody_waits(tmp_path: Path) -> None:
    """A loop without end is a caller who is told nothing; a deadline by the clock comes when it would."""
    endless = BORN.replace(
        "six_times = retry(wait=wait_random_exponential(min=1, max=60), stop=stop_after_attempt(6))",
        "six_times = retry(wait=wait_random_exponential(min=1, max=60))",
    )
    seen = shown(found(tmp_path, endless), WRONG.title)[WRONG.title]
    assert seen.outcome is Outcome.REPRODUCED
    assert "it would have waited for more than 3600 s" in seen.message

    limited = endless.replace("stop_after_attempt", "stop_after_delay").replace(
        "max=60))", "max=60), stop=stop_after_delay(90))"
    )
    seconds = next(
        float(one.value)
        for one in shown(found(tmp_path / "limited", limited), WRONG.title)[WRONG.title].evidence
        if one.label == "seconds"
    )
    assert 90 <= seconds < 200


def test_only_the_router_of_the_experiment_is_reached(tmp_path: Path) -> None:
    """What goes to another host is refused and told; it is not taken for a request that was answered."""
    elsewhere = (
        "import urllib.request\n"
        "def huggingface_structured_json_response(prompt, schema, model):\n"
        "    urllib.request.urlopen('http://127.0.0.1:9/', timeout=5)\n"
    )
    with pytest.raises(CannotCheck, match=r"it asked nothing of the router; .*\('127\.0\.0\.1', 9\)"):
        observed(found(tmp_path, elsewhere))


def test_settings_of_the_checkout_are_used_only_where_asked_for(tmp_path: Path) -> None:
    """With --use-env a base URL of `.env` is what its own path is taken from; its token is replaced even then."""
    configured = OLD.replace(
        'base_url="https://router.huggingface.co/hf/v1"',
        'base_url=os.environ.get("HF_URL", "https://router.huggingface.co/v1")',
    )
    checkout = Checkout(write_checkout(tmp_path, configured))
    with (checkout.backend / ".env").open("a") as file:
        file.write("HF_URL=https://router.huggingface.co/hf/v1\n")
    without = shown(hf_target(checkout), OWN.title)[OWN.title]
    handed = shown(hf_target(checkout, surroundings(checkout, use_env=True)), OWN.title)[OWN.title]
    assert (without.outcome, handed.outcome) == (Outcome.ABSENT, Outcome.REPRODUCED)
    assert SECRET not in str((without, handed))


@pytest.mark.skipif(sys.platform == "win32", reason="the interpreter is elsewhere")
def test_interpreter_without_the_client_is_named(tmp_path: Path) -> None:
    """An environment of the checkout that has no openai is passed over and said to be; named by the user, it ends."""
    backend = write_checkout(tmp_path, OLD)
    venv.create(backend / ".venv", symlinks=True)
    python = backend / ".venv/bin/python"
    target = hf_target(Checkout(backend))
    assert "has no openai, no tenacity" in target.note
    assert target.sandbox.interpreter == Path(sys.executable)
    with pytest.raises(CannotCheck, match="has no openai, no tenacity") as caught:
        observed(hf_target(Checkout(backend), Surroundings(python)))
    assert "pip install openai tenacity" in caught.value.remedy
