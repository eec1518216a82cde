"""The README's recorded examples: run, compared, and recorded anew.

A ```console block holds commands behind `$ ` and what they print. `python -m tests.support.readme` writes the present
output into the README; the test compares. What differs from run to run (times, dates, fingerprints, versions of
libraries) is masked on both sides of the comparison.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alwrity_checks.auth.mint import Instance
from alwrity_checks.catalogue import rules
from alwrity_checks.hf.loopback_router import LoopbackRouter
from alwrity_checks.model import CheckResult, Finding, Report, Verdict
from alwrity_checks.models.synthetic import write_checkpoint
from alwrity_doctor.report import render
from tests.support.auth_backend import middleware, write_auth_backend
from tests.support.capture import recorded_example
from tests.support.unrecorded import unrecorded

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
_SHOWN_PORT = ":48473/"
"""Where the README has the loopback router; here it gets a free port, of as many digits: the lines break alike."""
_PROVIDER = """from openai import NotFoundError, OpenAI

MODELS = ["openai/gpt-oss-120b:groq", "openai/gpt-oss-120b:cerebras"]


def outline(prompt, token):
    client = OpenAI(base_url="https://router.huggingface.co/hf/v1", api_key=token)
    for model in MODELS:
        try:
            return client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}])
        except NotFoundError:
            continue
"""
_SERVER = """from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def hello() -> str:
    return "hello"
"""
_REFUSED = (
    "{time} | ERROR    | middleware.auth_middleware:verify_token:191 - Unverified token rejected (production).\n\n"
    "{time} | ERROR    | middleware.auth_middleware:get_current_user:354 - AUTHENTICATION ERROR: Token verification "
    "failed for endpoint: GET /api/subscription/status/user_2abcDEF (client_ip=127.0.0.1, "
    "caller=starlette._exception_handler.wrapped_app, user_agent=Mozilla/5.0)\n\n"
)
_LOG = "".join(_REFUSED.format(time=f"06:3{minute}:48") for minute in range(4)) + (
    "06:34:02 | ERROR    | services.billing:charge:19 - card declined with code 402 by the bank\n\n"
)
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)?"), "<moment>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d( \d\d:\d\d UTC)?(?=[;)])"), "<day>"),
    (re.compile(r"<?\d+(\.\d+)? (ms|s|min|h|d)\b"), "<time>"),
    (re.compile(r"…#[0-9a-f]{8}"), "…#<fingerprint>"),
    (re.compile(r"/\S*/(python3?[\d.]*)"), "<path>/python"),
    (re.compile(r"\b\d+(\.\d+)? tokens/s"), "<rate>"),
    (re.compile(r"\b\d+(\.\d+)? ([KMG]i?B|GB/s)\b"), "<amount>"),
    (re.compile(r"\b\d+(\.\d+)? ?%"), "<share>"),
    (re.compile(r"\bon 127\.0\.0\.1:\d+ after"), "on 127.0.0.1:<port> after"),
    # What a processor likes, and how fast it is.
    (re.compile(r"transformers +(bfloat16|float32)\b"), "transformers <precision>"),
    (re.compile(r"<time> +\d+$", re.MULTILINE), "<time> <rate>"),
    (re.compile(r"client [0-9a-f]{8}"), "client <fingerprint>"),
    (re.compile(r"^@@ .* @@$", re.MULTILINE), "@@"),
    (re.compile(r"^\+- \d{4}-\d\d-\d\d:", re.MULTILINE), "+- <day>:"),
    (re.compile(r"\bCPython \d[\d.]*"), "CPython <version>"),
    (re.compile(r"Root=1-[0-9a-f]{8}"), "<request id>"),
    (re.compile(r"\b\d+>\d+\b"), "<accepted>found>"),
    (re.compile(r"\bPyJWT \d[\d.]*"), "PyJWT <version>"),
    (re.compile(r" +"), " "),
    (re.compile(r"─+|━+"), "─"),
)


@dataclass(frozen=True)
class Example:
    """A command and what the README says it prints, on stdout and stderr together."""

    command: str
    printed: str


def examples(text: str) -> Iterator[tuple[Example, ...]]:
    """Yield the commands of every console block: a later one of a block may need an earlier one."""
    for block in _BLOCK.findall(text):
        parts = (part.partition("\n") for part in re.split(r"(?m)^\$ ", block)[1:])
        yield tuple(Example(command, printed.strip("\n")) for command, _, printed in parts)


def lay_out(folder: Path) -> None:
    """Write the files that the examples speak of: a backend's .env, a token, a key set, a browser capture."""
    instance = Instance()
    (folder / ".env").write_text(
        "CLERK_PUBLISHABLE_KEY=pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk\n"
        "CLERK_SECRET_KEY=sk_live_thisIsNotARealKeyAtAll0000000000\n"
        "ENV=production\n",
        encoding="utf-8",
    )
    (folder / "token.txt").write_text(instance.token(now=1_790_000_000), encoding="utf-8")
    (folder / "jwks.json").write_text(json.dumps(instance.jwks()), encoding="utf-8")
    (folder / "capture.har").write_bytes(recorded_example(instance))
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string"}, "sections": {"type": "integer"}},
        "required": ["title", "sections"],
        "additionalProperties": False,
    }
    notes = (
        {"id": "tea", "text": "Brew green tea at 80 degrees."},
        {"id": "rent", "text": "The rent is due on Monday."},
    )
    (folder / "notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes), encoding="utf-8")
    (folder / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    ready = {
        "type": "object",
        "properties": {"ready": {"const": True}},
        "required": ["ready"],
        "additionalProperties": False,
    }
    (folder / "ready.json").write_text(json.dumps(ready), encoding="utf-8")
    write_checkpoint(folder / "tiny-model", "tiny")
    (folder / "tracker.md").write_bytes(unrecorded())
    _lay_out_checkout(folder / "alwrity")
    (folder / "app.py").write_text(_SERVER, encoding="utf-8")
    (folder / "app.log").write_text(_LOG, encoding="utf-8")
    _lay_out_reports(folder)


def _lay_out_checkout(root: Path) -> None:
    """Write a small checkout with the middleware of ce9bf293, in our own words, and a wrong base URL."""
    write_auth_backend(root, middleware("D"))
    provider = root / "backend/services/llm_providers/huggingface_provider.py"
    provider.parent.mkdir(parents=True)
    provider.write_text(_PROVIDER, encoding="utf-8")
    (root / "backend/app.py").write_text(
        "from middleware import auth_middleware\nfrom services.llm_providers import huggingface_provider\n", "utf-8"
    )
    (root / "backend/requirements.txt").write_text(
        "fastapi\nfastapi-clerk-auth\nloguru\nopenai\npyjwt\npython-dotenv\n", "utf-8"
    )


def _lay_out_reports(folder: Path) -> None:
    """Write what a gate said yesterday, before a key was exchanged for a placeholder, and what it says today."""
    rule = rules()["AUTH021"]
    title, when = "the secret key fits the publishable key", datetime(2026, 11, 27, 9, tzinfo=UTC)
    good = CheckResult("auth.secret-key", title, 1, Verdict.PASS)
    found = Finding(rule, "CLERK_SECRET_KEY: a placeholder was never replaced", commands=("alwrity-doctor auth env",))
    bad = CheckResult("auth.secret-key", title, 1, Verdict.FAIL, (found,))
    for name, result, day in (("yesterday.json", good, when), ("today.json", bad, when + timedelta(days=1))):
        report = Report("gate", "0.1.0", day, timedelta(milliseconds=128), (result,))
        (folder / name).write_text(render(report, "json"), encoding="utf-8")


def run(command: str, folder: Path) -> str:
    """Run `command` in a shell in `folder`, with nothing in the environment that bears on it but a router's token."""
    if _SHOWN_PORT in command:
        with LoopbackRouter() as router:
            port = f":{router.origin.rpartition(':')[2]}/"
            printed = _run(command.replace(_SHOWN_PORT, port), folder, {"HF_TOKEN": router.token})
            return printed.replace(port, _SHOWN_PORT)
    return _run(command, folder, {})


def _run(command: str, folder: Path, settings: Mapping[str, str]) -> str:
    bearing = re.compile(r"CLERK|ENV|^HF_|^HUGGING|^ALWRITY|^SIF_|^TRANSFORMERS_")
    kept = {name: value for name, value in os.environ.items() if not bearing.search(name)}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**kept, **settings, "PATH": path, "COLUMNS": "100"}
    # Nothing that was measured, converted or downloaded here before shows in an example.
    environment |= {"XDG_CACHE_HOME": str(folder / "cache"), "HF_HOME": str(folder / "hub")}
    done = subprocess.run(  # noqa: S602 - the README's own commands, as a reader would paste them
        command,
        shell=True,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        encoding="utf-8",
        timeout=300,
    )
    return done.stdout.strip("\n").replace(str(folder), "/srv")


def masked(text: str) -> str:
    """Return `text` without what differs from run to run: a timeline's lines and the rows of shares do as a whole."""
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    # What a long row wraps into belongs to it, down to the blank line that ends its table.
    text = re.sub(r"(?m)^.*<time> <share>.*\n(?:.+\n)*", "", text + "\n")
    kept = (line for line in map(str.strip, text.splitlines()) if not line.startswith(("<time> ", "and ")))
    # How wide a duration is decides where the words beside it wrap: so a word stands on a line, and no wrap counts.
    return "\n".join(word for line in kept for word in line.removesuffix("<time>").split())


def main() -> None:
    """Record every example anew."""
    text = README.read_text("utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder)

        def record(block: re.Match[str]) -> str:
            parts = [part.partition("\n")[0] for part in re.split(r"(?m)^\$ ", block.group(1))[1:]]
            return "```console\n" + "".join(f"$ {command}\n{run(command, folder)}\n" for command in parts) + "```"

        README.write_text(_BLOCK.sub(record, text), encoding="utf-8")


if __name__ == "__main__":
    main()
