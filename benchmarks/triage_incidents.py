"""What goes wrong in a backend, line by line, as three of its states print it.

Templates, levels and line numbers: ALwrity 8c2d88ef (OLD) and ce9bf293 (HEAD). Between them, for eleven days, stood a
format of its own (BETWEEN). Every record of the application is followed by an empty line.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

__all__ = ["INCIDENTS", "STARTS", "Clock", "State"]

_EPOCH: Final = datetime(2026, 3, 10, tzinfo=UTC)


class State(Enum):
    """Which state of the backend writes."""

    OLD = "8c2d88ef"
    BETWEEN = "2026-03-11 to 03-22"
    HEAD = "ce9bf293"


@dataclass(slots=True)
class Clock:
    """The time of the next line; days pass."""

    seconds: int

    def stamp(self, separator: str) -> str:
        """Return date, time and milliseconds."""
        now = _EPOCH + timedelta(seconds=self.seconds)
        return f"{now:%Y-%m-%d %H:%M:%S}{separator}{self.seconds * 7919 % 1000:03d}"

    def time(self) -> str:
        """Return the time of day."""
        minutes, seconds = divmod(self.seconds % 86_400, 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"

    def head(self, state: State, level: str) -> str:
        """Return how an application's record begins, up to its place, in F1, F2 or F9."""
        del state
        return f"{self.time()} | {level:<8} | "

    def record(self, state: State, level: str, place: str, message: str) -> str:
        """Return a whole record of the application."""
        if state is State.HEAD:
            return f"{self.head(state, level)}req=- job=- user=- | {place} - {message}\n\n"
        if state is State.BETWEEN:
            module, _, rest = place.partition(":")
            return f"{self.head(state, level)}{module}:{rest.rpartition(':')[2]} | {message}\n\n"
        return f"{self.head(state, level)}{place} - {message}\n\n"


Maker = Callable[[Clock, random.Random], str]

_AUTH, _HF, _TXTAI = (
    "middleware.auth_middleware",
    "services.llm_providers.huggingface_provider",
    "services.intelligence.txtai_service",
)
_LLM, _SIF = "services.llm_providers.main_text_generation", "services.intelligence.sif_agents"
_POLLED: Final = ("/api/health", "/api/alerts", "/api/status", "/api/today-workflow", "/api/onboarding/status")
_OLD_MODELS: Final = (
    "mistralai/Mistral-7B-Instruct-v0.3:groq", "mistralai/Mistral-7B-Instruct-v0.3", "openai/gpt-oss-120b:groq",
    "openai/gpt-oss-120b", "moonshotai/Kimi-K2-Instruct-0905:groq", "moonshotai/Kimi-K2-Instruct-0905",
    "meta-llama/Llama-3.1-8B-Instruct:groq", "meta-llama/Llama-3.1-8B-Instruct",
)  # fmt: skip
_HEAD_MODELS: Final = ("openai/gpt-oss-120b:cerebras", "openai/gpt-oss-120b")
_LOCAL: Final = ("Qwen/Qwen2.5-1.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct", "TinyLlama/TinyLlama-1.1B-Chat-v1.0")
_AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
_REASONS: Final = (
    'Fail to fetch data from the url, err: "<urlopen error [Errno -2] Name or service not known>"',
    'Unable to find a signing key that matches: "ins_2madeup"',
    "Signature verification failed",
    "The token is not yet valid (iat)",
    "Invalid audience",
)  # fmt: skip


def _user(dice: random.Random) -> str:
    return f"user_2{dice.randrange(500):09x}"


def _made_up_token(dice: random.Random) -> str:
    body = "".join(dice.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", k=120))
    return f"eyJhbGciOiJSUzI1NiIsImtpZCI6Imluc18yIn0.eyJ{body[:80]}.{body[80:]}"


def _refused(clock: Clock, state: State, dice: random.Random, line: int) -> str:
    where = f"{dice.choice(('GET', 'GET', 'POST'))} {dice.choice(_POLLED)}"
    return (
        clock.record(
            state,
            "ERROR",
            f"{_AUTH}:get_current_user:{line}",
            f"🔒 AUTHENTICATION ERROR: Token verification failed for endpoint: {where} (client_ip=127.0.0.1, "
            f"caller=starlette._exception_handler.wrapped_app, user_agent={_AGENT})",
        )
        + f'INFO:     127.0.0.1:{dice.randint(32768, 60999)} - "{where} HTTP/1.1" 401 Unauthorized\n'
    )


def _rejected(state: State) -> Maker:
    """Issue 1: an expired token, which the front end sends twice."""
    text = "(production)" if state is State.OLD else "(env=production)"
    line, second = (191, 354) if state is State.OLD else (229, 391)

    def make(clock: Clock, dice: random.Random) -> str:
        once = clock.record(state, "ERROR", f"{_AUTH}:verify_token:{line}", f"Unverified token rejected {text}.")
        return (once + _refused(clock, state, dice, second)) * 2

    return make


def _unverifiable(state: State) -> Maker:
    """Issue 1: a token that cannot be verified, with the reason."""
    rejected = _rejected(state)

    def make(clock: Clock, dice: random.Random) -> str:
        reason = f"fastapi-clerk-auth verification error: {dice.choice(_REASONS)}. Attempting fallback decoding."
        return clock.record(state, "WARNING", f"{_AUTH}:verify_token:169", reason) + rejected(clock, dice)

    return make


def _null_token(state: State) -> Maker:
    """Issue 1: `null` instead of a token."""

    def make(clock: Clock, dice: random.Random) -> str:
        place, reason = f"{_AUTH}:verify_token:", "Not enough segments"
        first = f"fastapi-clerk-auth verification error: {reason}. Attempting fallback decoding."
        return (
            clock.record(state, "WARNING", place + "169", first)
            + clock.record(state, "WARNING", place + "194", f"Fallback decoding failed: {reason}")
            + _refused(clock, state, dice, 354)
        )

    return make


def _no_credentials(state: State) -> Maker:
    """Issue 1: a request before the session is there; ALwrity 8c2d88ef prints the beginning of the header."""

    def make(clock: Clock, dice: random.Random) -> str:
        header = f", auth_header=Bearer {_made_up_token(dice)[:43]}" if state is State.OLD else ""
        return clock.record(
            state,
            "ERROR",
            f"{_AUTH}:get_current_user:273",
            "🔒 AUTHENTICATION ERROR: No credentials provided for authenticated endpoint: "
            f"GET {dice.choice(_POLLED)} (client_ip=127.0.0.1, auth_header_received=NO{header})",
        )

    return make


def _query_token(state: State) -> Maker:
    """Write a secret into an access line."""
    del state

    def make(clock: Clock, dice: random.Random) -> str:
        del clock
        return (
            f"INFO:     127.0.0.1:{dice.randint(32768, 60999)} - "
            f'"GET /api/podcast/audio/ep{dice.randint(1, 99)}.mp3?token={_made_up_token(dice)} HTTP/1.1" 200 OK\n'
        )

    return make


def _structured(state: State) -> Maker:
    """Issue 2: the wrong base URL, six attempts, then the other provider."""

    def make(clock: Clock, dice: random.Random) -> str:
        models, text = (_OLD_MODELS, "NotFoundError: Not Found") if state is State.OLD else (
            _HEAD_MODELS,
            "NameError: name 'fallback_models' is not defined",
        )  # fmt: skip
        place = f"{_HF}:huggingface_structured_json_response:"
        attempt = ""
        for model in models:
            if state is State.OLD:
                attempt += (
                    f"[{clock.stamp(',')}-INFO-_client-1038]- HTTP Request: POST "
                    'https://router.huggingface.co/hf/v1/chat/completions "HTTP/1.1 404 Not Found"\n'
                )
            attempt += clock.record(
                state, "WARNING", place + "404", f"HF structured model not found: {model}. Trying fallback model."
            )
        attempt += clock.record(state, "ERROR", place + "441", "❌ Hugging Face API call failed: Not Found")
        if state is State.OLD:
            for model in models:
                told = f"HF structured model not found (no response_format path): {model}"
                attempt += clock.record(state, "WARNING", place + "460", told)
        failed = f"❌ Hugging Face structured JSON generation failed: {text}"
        attempt += clock.record(state, "ERROR", place + "480", failed)
        attempt += clock.record(state, "ERROR", place + "481", f"❌ Full exception details: {text!r}")
        attempt += clock.record(state, "ERROR", place + "483", "❌ Traceback: " + _traceback(text))
        future = f"RetryError[<Future at 0x{dice.getrandbits(44):x} state=finished raised Exception>]"
        return attempt * 6 + clock.record(
            state, "ERROR", f"{_LLM}:llm_text_gen:296", f"[llm_text_gen] Provider huggingface failed: {future}"
        )

    return make


def _traceback(text: str) -> str:
    return (
        "Traceback (most recent call last):\n"
        '  File "/srv/alwrity/backend/services/llm_providers/huggingface_provider.py", line 398, in generate\n'
        "    response = client.chat.completions.create(\n"
        "               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        f"openai.{text}\n"
    )


def _text(state: State) -> Maker:
    """Issue 2 on the text path."""

    def make(clock: Clock, dice: random.Random) -> str:
        del dice
        place = f"{_HF}:huggingface_text_response:"
        return (
            clock.record(
                state, "WARNING", place + "250", "HF model not found: openai/gpt-oss-120b. Trying fallback model."
            )
            + clock.record(state, "ERROR", place + "270", "❌ Hugging Face text generation failed: Not Found")
            + clock.record(
                state, "ERROR", f"{_LLM}:llm_text_gen:440", "[llm_text_gen] Provider huggingface failed: Not Found"
            )
        )

    return make


def _not_initialised(state: State) -> Maker:
    """Issue 3: the model cannot be loaded, and nothing is indexed."""

    def make(clock: Clock, dice: random.Random) -> str:
        refused, place = f"service not initialized for user {_user(dice)}", f"{_TXTAI}:_initialize_embeddings:"
        error = "Can't load the configuration of 'sentence-transformers/all-MiniLM-L6-v2'"
        return (
            clock.record(state, "ERROR", place + "176", f"Critical failure initializing txtai embeddings: {error}")
            + clock.record(state, "ERROR", place + "177", f"Full traceback: {_traceback('OSError: ' + error)}")
            + clock.record(state, "ERROR", place + "178", "This may be due to:")
            + clock.record(state, "ERROR", place + "179", "1. Missing or corrupted model files")
            + clock.record(state, "WARNING", f"{_TXTAI}:index_content:235", f"Cannot index content - {refused}")
            + clock.record(state, "ERROR", f"{_TXTAI}:search:285", f"Cannot perform search - {refused}")
        )  # fmt: skip

    return make


def _lost_index(state: State) -> Maker:
    """Issue 3: what two initialisations at once leave behind."""

    def make(clock: Clock, dice: random.Random) -> str:
        del dice
        error = "Error in faiss::FileIOReader: could not open workspace/indices/txtai/embeddings"
        return clock.record(
            state, "WARNING", f"{_TXTAI}:_load:152", f"Failed to load existing index: {error}. Creating new index."
        )

    return make


def _local_model(state: State) -> Maker:
    """Issue 5: no local model can be loaded, and the next one is larger."""

    def make(clock: Clock, dice: random.Random) -> str:
        agent = dice.choice(("StrategyArchitect", "ContentGuardian", "LinkGraph"))
        error = "We couldn't connect to 'https://huggingface.co' to load the files"
        task = "text-generation"
        wanted = f"model={_LOCAL[0]}, requested_task={task}, transformers=4.57.1, supported_tasks=['{task}']"
        lines = "".join(
            clock.record(
                state,
                "WARNING",
                f"{_SIF}:llm:116",
                f"Local LLM load failed for '{model}', trying next fallback. Error: {error}",
            )
            for model in _LOCAL
        )
        return (
            f"'[Errno -2] Name or service not known' thrown while requesting HEAD https://huggingface.co/{_LOCAL[0]}/resolve/main/config.json\n"
            "Retrying in 2s [Retry 2/5].\n"
            + lines
            + clock.record(state, "ERROR", f"{_SIF}:llm:122", f"LocalLLMWrapper init failed ({wanted})")
            + clock.record(state, "ERROR", f"{_SIF}:create:185", f"[{agent}] Failed to create txtai Agent: {error}")
            + clock.record(state, "ERROR", f"{_SIF}:generate:352", "Remote fallback failed for agent %s (user=%s): %s")
        )  # fmt: skip

    return make


def _unknown(state: State) -> Maker:
    """Write a fault that no catalogue holds, with loguru's drawing of the variables."""

    def make(clock: Clock, dice: random.Random) -> str:
        return clock.record(
            state,
            "ERROR",
            "services.scheduler.executor:run_task:214",
            f"Task {dice.randint(1, 99_999)} failed after {dice.randint(1, 9)} attempts: database is locked\n"
            "Traceback (most recent call last):\n"
            '> File "/srv/alwrity/backend/services/scheduler/executor.py", line 209, in run_task\n'
            "    await handler(task, api_key=key)\n"
            f"          │       │             └ 'hf_{dice.getrandbits(136):034x}'\n"
            f"          │       └ <Task id={dice.randint(1, 99_999)}>\n"
            "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked",
        )

    return make


def _reload(state: State) -> Maker:
    """Issue 4: a development reload, and the server that starts again."""

    def make(clock: Clock, dice: random.Random) -> str:
        file = dice.choice(("api/today_workflow.py", "services/seo/analyzer.py"))
        tool = "WatchFiles" if state is State.HEAD else "StatReload"
        line = f"{tool} detected changes in '{file}'. Reloading..."
        return (line if state is State.HEAD else f"WARNING:  {line}") + "\n" + STARTS[state](clock, dice)

    return make


def _started(state: State) -> Maker:
    """Return what a server prints when it starts: F3, F4, F7 and F8."""

    def make(clock: Clock, dice: random.Random) -> str:
        stamp, switches = clock.stamp("."), "Auth disabled: False, fastapi-clerk-auth: True"
        lines = [
            f"{stamp} | INFO     | {_AUTH}:__init__:84 - ClerkAuthMiddleware initialized - {switches}",
            f"{stamp} | DEBUG    | alwrity_utils.environment_setup:load:31 - Environment loaded",
        ]
        if state is State.HEAD:
            lines += [
                "[STARTUP] PORT env: None",
                "[app.py] EARLY - PORT=8000",
                "[INFO] Bootstrap Summary:",
                "   local_llm_models: [OK] Enabled",
            ]
            lines += [
                clock.record(
                    state, "INFO", f"logging:callHandlers:{dice.choice((1706, 1762))}", "Application startup complete."
                ).rstrip("\n")
            ]
        else:
            lines += [
                "No .env found at /srv/alwrity/backend/.env, using current directory",
                f"INFO:     Started server process [{dice.randint(100, 32000)}]",
                "INFO:     Application startup complete.",
            ]
        return "\n".join(lines) + "\n"  # fmt: skip

    return make


STARTS: Final[dict[State, Maker]] = {state: _started(state) for state in State}

_WEIGHTS: Final[Sequence[tuple[Callable[[State], Maker], int]]] = (
    (_rejected, 40),
    (_unverifiable, 12),
    (_null_token, 6),
    (_no_credentials, 5),
    (_query_token, 1),
    (_structured, 2),
    (_text, 4),
    (_not_initialised, 6),
    (_lost_index, 3),
    (_local_model, 5),
    (_unknown, 2),
    (_reload, 3),
)

INCIDENTS: Final[dict[State, list[tuple[Maker, int]]]] = {
    state: [(make(state), weight) for make, weight in _WEIGHTS] for state in State
}
"""What goes wrong in a state, and how often beside the others."""
