"""What the callers of the local models rely on, and the driver that tries it.

Nothing is loaded for real: txtai's LLM and the registry's works are those of the experiment of issue 5, whose models
say "ok". Where a real answer would be written by the component, its last step is stood in for as well.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from alwrity_checks.adoption.contract.contract import Attempt, Contract, Untried, expect
from alwrity_checks.adoption.contract.inside import attend, open_with_txtai

if TYPE_CHECKING:
    from alwrity_checks.models.scenarios.stage import Stage
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["CONTRACTS", "drive"]

_SOURCE: Final = "ALwrity ce9bf293, "
_MODEL: Final = "Qwen/Qwen2.5-1.5B-Instruct"
_USER: Final = "user_2contract000000000000001"
_PROMPT: Final = "Name a title."
_DISTRIBUTIONS: Final = ("txtai", "transformers", "torch", "loguru")
_AGENT: Final = "SIFBaseAgent"
_WRAPPER: Final = "LocalLLMWrapper"
_AHEAD: Final = "initialize_async"


@dataclass(frozen=True, slots=True)
class _Bench:
    """The agents' module, imported afresh, on a stage."""

    agents: Any
    stage: Stage
    answered: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    """What the remote provider was asked: the prompt, and what came with it by name."""

    def wrapper(self) -> Any:  # noqa: ANN401 - anybody's class
        """Make a wrapper as an agent does."""
        return getattr(self.agents, _WRAPPER)(_MODEL, task="text-generation")

    def agent(self, module: str) -> Any:  # noqa: ANN401 - as above
        """Make an agent of a module's base class. Raises Untried where this revision has none."""
        from alwrity_checks.models.scenarios.driven_imports import Anything

        try:
            base = getattr(importlib.import_module(module), _AGENT)
        except (ImportError, AttributeError) as error:
            raise Untried(f"this revision has no {_AGENT} in {module}") from error
        return type("Probe", (base,), {})(Anything(), _USER)


def drive(inside: Inside, act: str, *words: str) -> None:
    """Meet the modules, or try contracts on them, without torch if txtai can do without."""
    from alwrity_checks.models.scenarios.driven import HISTORICAL, DrivenTarget
    from alwrity_checks.models.scenarios.stage import Stage

    open_with_txtai(inside)
    target = DrivenTarget(inside)

    @contextmanager
    def bench() -> Iterator[_Bench]:
        stage = Stage()
        agents, registry = target.staged(stage, HISTORICAL)
        given = _Bench(agents, stage)

        def answer(prompt: str, *_: object, **options: Any) -> str:  # noqa: ANN401 - whatever the provider takes
            given.answered.append((prompt, options))
            return "remote"

        with _answering(stage), mock.patch.object(agents, "llm_text_gen", answer):
            try:
                yield given
            finally:
                registry.close()

    attend(inside, act, words, CONTRACTS, bench, *_DISTRIBUTIONS)


@contextmanager
def _answering(stage: Stage) -> Iterator[None]:
    """Have the component's models say what the stage's do: they have no tokens."""
    from alwrity_checks.models.generation import Generation, LocalModel

    def generate(model: LocalModel, *_: object, **__: object) -> Generation:
        del model
        return Generation(stage.answer, 1, finished=True, prompt_tokens=1, time_to_first_token=0.0, decode_seconds=0.0)

    with mock.patch.multiple(LocalModel, generate_sync=generate, count_tokens=lambda *_, **__: 1):
        yield


def _called(bench: _Bench) -> str:
    wrapper = bench.wrapper()
    answers = [wrapper(_PROMPT), wrapper.generate(_PROMPT), wrapper(_PROMPT, maxlength=256, temperature=0.5)]
    expect(answers == [bench.stage.answer] * 3, f"it answers {answers!r:.160}")
    expect(bench.stage.tried, "no model was loaded for it")
    named = getattr(bench.agents, _WRAPPER)(model_path=_MODEL)
    expect(named.model_path == _MODEL, f"its model_path is {named.model_path!r}")
    return "called and generated, a text"


async def _lifecycle(bench: _Bench) -> str:
    wrapper = bench.wrapper()
    if not hasattr(wrapper, "ensure_initialized_async"):
        wanted = hasattr(getattr(bench.agents, _AGENT, None), _AHEAD)
        expect(not wanted, f"it has no ensure_initialized_async, which {_AHEAD} of the agents calls")
        return "it has no lifecycle, and nobody in this revision wants one"
    expect(await wrapper.ensure_initialized_async() is True, "ensure_initialized_async() is not True")
    expect(await wrapper.initialize() is True, "initialize() is not True")
    expect(len(bench.stage.tried) == 1, f"{len(bench.stage.tried)} loads of one model")
    await wrapper.shutdown()
    expect(wrapper(_PROMPT) == bench.stage.answer, "it does not answer after shutdown()")
    return "initialised once, and usable after shutdown"


async def _no_model(bench: _Bench) -> str:
    def refuse(model: str) -> None:
        raise OSError(f"no such model: {model}")

    bench.stage._load = refuse  # noqa: SLF001 - our own stage
    wrapper = bench.wrapper()
    try:
        answer = await asyncio.to_thread(wrapper.generate, _PROMPT)
    except Exception as error:  # noqa: BLE001 - that it is one is the contract
        kind = type(error).__name__
    else:
        raise AssertionError(f"it answers {answer!r:.80}")
    if hasattr(wrapper, "initialize"):
        expect(await wrapper.initialize() is False, "initialize() is not False")
    return f"{kind}, an Exception"


def _agents_made(bench: _Bench) -> str:
    from alwrity_checks.models.scenarios.driven_imports import AGENTS, SPECIALIZED

    made = [bench.agent(AGENTS)]
    with suppress(Untried):
        made.append(bench.agent(SPECIALIZED))
    wanted = importlib.import_module("txtai.pipeline").LLM
    for agent in made:
        model = agent.txtai_agent.options["llm"]
        expect(
            isinstance(model, wanted), f"txtai's Agent was given a {type(model).__name__}, of which it makes a model"
        )
        expect(model(_PROMPT) == bench.stage.answer, "the model of txtai's Agent does not answer")
    return f"{len(made)} base classes give txtai's Agent an LLM that answers"


async def _agent_answers(bench: _Bench) -> str:
    from alwrity_checks.models.scenarios.driven_imports import AGENTS

    agent = bench.agent(AGENTS)
    answer = await agent._generate_llm_response(_PROMPT)  # noqa: SLF001 - what every agent calls
    expect(answer == bench.stage.answer, f"it answers {answer!r:.80}")
    # The remote provider, which is asked where the local model fails, says the same on the stage.
    expect("the remote provider" not in bench.stage.tried, "its local model failed, and the remote provider answered")
    return "the local model's answer"


async def _agent_lifecycle(bench: _Bench) -> str:
    from alwrity_checks.models.scenarios.driven_imports import AGENTS

    agent = bench.agent(AGENTS)
    if not hasattr(agent, _AHEAD):
        return "the agents of this revision have no lifecycle"
    for call in (agent.initialize_async, agent.shutdown):
        result = call()
        expect(inspect.isawaitable(result), f"{call.__name__} returns nothing to await")
        # The agent's index is a stand-in, which cannot be awaited: that is caught by the agent itself.
        await result
    return "initialize_async and shutdown are awaited"


def _remote(bench: _Bench) -> str:
    shared = bench.agents.SharedLLMWrapper(_USER)
    answers = [shared.generate(_PROMPT), shared(_PROMPT, max_tokens=5)]
    expect(answers == ["remote", "remote"], f"it answers {answers!r:.80}")
    users = [options.get("user_id") for _, options in bench.answered]
    expect(users == [_USER, _USER], f"the provider was asked for the users {users}")
    expect([prompt for prompt, _ in bench.answered] == [_PROMPT] * 2, "the provider was asked something else")
    return "the provider's answer, asked for the user"


_ATTEMPTS: Final[tuple[tuple[str, str, tuple[str, ...], Attempt], ...]] = (
    (
        "called",
        "a LocalLLMWrapper is made of a model's name and a task, and answers a prompt with a text",
        ("services/intelligence/sif_agents.py:196", "services/intelligence/agents/core_agent_framework.py:71"),
        _called,
    ),
    (
        "lifecycle",
        "its model can be loaded ahead, and the wrapper used after its shutdown",
        ("services/intelligence/sif_agents.py:221", "services/intelligence/agents/specialized/base.py:73"),
        _lifecycle,
    ),
    (
        "no-model",
        "where no model can be had a call raises an Exception, and initialize says False",
        ("services/intelligence/agents/core_agent_framework.py:328",),
        _no_model,
    ),
    (
        "agents",
        "the agents' base classes give txtai's Agent a model in txtai's own class",
        ("services/intelligence/sif_agents.py:243", "services/intelligence/agents/specialized/base.py:97"),
        _agents_made,
    ),
    (
        "agent-answers",
        "an agent answers a prompt",
        ("services/intelligence/agents/core_agent_framework.py:313",),
        _agent_answers,
    ),
    (
        "agent-lifecycle",
        "an agent can be initialised ahead, and shut down",
        ("services/intelligence/sif_agents.py:217", "services/intelligence/sif_agents.py:225"),
        _agent_lifecycle,
    ),
    (
        "remote",
        "a SharedLLMWrapper answers with the remote provider's text, asked for its user",
        ("services/intelligence/sif_agents.py:190", "services/intelligence/agents/specialized/base.py:35"),
        _remote,
    ),
)
CONTRACTS: Final = tuple(
    Contract(5, f"models.{name}", title, tuple(f"{_SOURCE}{place}" for place in places), attempt)
    for name, title, places, attempt in _ATTEMPTS
)
