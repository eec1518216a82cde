"""Small checkouts laid out as ALwrity's, with a Hugging Face provider in the shape of each historical state.

Every line is of our own writing; what the providers do is what was described. The packages above them refuse to be
imported, as the real ones need the whole application.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["BORN", "CONFLICT", "CORRECTED", "DROP_IN", "HEAD", "MADE_WELL", "OLD", "SECRET", "WHOLE", "write_checkout"]

SECRET: Final = "hf_" + "seededInTheCheckoutsEnv4567"
"""In the checkout's `.env`."""

_BEGINNING: Final = '''
import json
import os
import time
from pathlib import Path

from dotenv import load_dotenv

env_path = Path(__file__).parents[2] / ".env"
if env_path.exists():
    load_dotenv(env_path)
    print(f"Loaded .env from: {env_path}")

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random_exponential
from utils.logger_utils import get_service_logger

logger = get_service_logger("huggingface_provider")

try:
    from openai import NotFoundError, OpenAI
except ImportError:
    NotFoundError = Exception
    logger.warn("openai is missing")


def get_huggingface_api_key():
    key = os.getenv("HF_TOKEN")
    if not key or not key.startswith("hf_"):
        raise ValueError("HF_TOKEN is not set, or is none")
    return key


def new_client():
    return OpenAI(base_url="{url}", api_key=get_huggingface_api_key())


def variants(models):
    for model in models:
        yield model
        yield model.split(":")[0]


def answer(client, models, prompt, **options):
    """Return the first answer that is no 404."""
    last = None
    for model in dict.fromkeys(models):
        try:
            return client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": prompt}], **options
            )
        except NotFoundError as error:
            last = error
            logger.warning("HF structured model not found: {}. Trying fallback model.", model)
    raise last


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return {"error": "Failed to parse JSON response", "raw_response": text}


six_times = retry(wait=wait_random_exponential(min=1, max=60), stop=stop_after_attempt(6))
JSON = {"type": "json_object"}
'''

_CHAIN: Final = """
DEFAULTS = [
    "openai/gpt-oss-120b:groq",
    "moonshotai/Kimi-K2-Instruct-0905:groq",
    "meta-llama/Llama-3.1-8B-Instruct:groq",
    "mistralai/Mistral-7B-Instruct-v0.3:groq",
]


@six_times
def huggingface_text_response(prompt, model=DEFAULTS[0], temperature=0.7):
    try:
        client = new_client()
        time.sleep(1)
        return answer(client, variants([model, *DEFAULTS]), prompt).choices[0].message.content
    except Exception as error:
        raise Exception(f"Hugging Face text generation failed: {error}")


@six_times
def huggingface_structured_json_response(prompt, schema, model=DEFAULTS[0], temperature=0.7):
    try:
        client = new_client()
        time.sleep(1)
        asked = f"{prompt}\\n\\n{json.dumps(schema)}"
        try:
            found = answer(client, variants([model, *DEFAULTS]), asked, response_format=JSON)
        except Exception as error:
            logger.error(f"❌ Hugging Face API call failed: {error}")
            if not ("422" in str(error) or "not supported" in str(error) or isinstance(error, NotFoundError)):
                raise
            found = answer(client, variants([model, *DEFAULTS]), asked)
        return parsed(found.choices[0].message.content)
    except Exception as error:
        logger.error(f"❌ Hugging Face structured JSON generation failed: {type(error).__name__}: {error}")
        raise Exception(f"Hugging Face structured JSON generation failed: {type(error).__name__}: {error}")
"""

_LOST_CHAIN: Final = """
FINAL = ("not found", "404", "402", "depleted", "credits", "401", "unauthorized", "403", "forbidden")


@retry(
    retry=retry_if_exception(lambda error: not any(word in str(error).lower() for word in FINAL)),
    wait=wait_random_exponential(min=1, max=60),
    stop=stop_after_attempt(6),
)
def huggingface_text_response(prompt, model="openai/gpt-oss-120b:cerebras", fallback_models=None):
    try:
        return answer(new_client(), variants([model]), prompt).choices[0].message.content
    except Exception as error:
        raise Exception(f"Hugging Face text generation failed: {error}")


@six_times
def huggingface_structured_json_response(prompt, schema, model="openai/gpt-oss-120b:groq"):
    try:
        client = new_client()
        asked = f"{prompt}\\n\\n{json.dumps(schema)}"
        try:
            found = answer(client, variants([model]), asked, response_format=JSON)
        except Exception as error:
            if not ("422" in str(error) or "not supported" in str(error) or isinstance(error, NotFoundError)):
                raise
            found = answer(client, variants([model, *fallback_models]), asked)
        return parsed(found.choices[0].message.content)
    except Exception as error:
        logger.error(f"❌ Hugging Face structured JSON generation failed: {type(error).__name__}: {error}")
        raise Exception(f"Hugging Face structured JSON generation failed: {type(error).__name__}: {error}")
"""

_WHOLE: Final = """
import re

HF_FALLBACK_MODELS = ["openai/gpt-oss-120b:cerebras", "moonshotai/Kimi-K2-Instruct-0905:cerebras"]


def asked(prompt, model, system_prompt, **options):
    said = [("system", system_prompt), ("user", prompt)] if system_prompt else [("user", prompt)]
    messages = [{"role": role, "content": content} for role, content in said]
    return new_client().chat.completions.create(model=model, messages=messages, **options).choices[0].message.content


@six_times
def huggingface_text_response(
    prompt,
    model="openai/gpt-oss-120b:cerebras",
    fallback_models=None,
    temperature=0.7,
    max_tokens=2048,
    top_p=0.9,
    system_prompt=None,
):
    try:
        text = asked(prompt, model, system_prompt, temperature=temperature, max_tokens=max_tokens, top_p=top_p)
        return re.sub(r"```[a-zA-Z]*\\n?", "", text).strip()
    except Exception as error:
        raise Exception(f"Hugging Face text generation failed: {error}")


@six_times
def huggingface_structured_json_response(
    prompt, schema, model="openai/gpt-oss-120b:groq", temperature=0.7, max_tokens=8192, system_prompt=None
):
    try:
        told = f"{prompt}\\n\\nJSON Schema:\\n{json.dumps(schema)}"
        text = asked(told, model, system_prompt, temperature=temperature, max_tokens=max_tokens, response_format=JSON)
        found = re.search(r"\\{.*\\}", text, re.DOTALL)
        return parsed(found.group() if found else text)
    except Exception as error:
        raise Exception(f"Hugging Face structured JSON generation failed: {type(error).__name__}: {error}")


def get_available_models():
    return HF_FALLBACK_MODELS


def validate_model(model):
    return model in get_available_models()
"""

_ONE_MODEL: Final = """
@six_times
def huggingface_text_response(prompt, model="openai/gpt-oss-120b:groq"):
    time.sleep(1)
    found = new_client().chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}])
    return found.choices[0].message.content


@six_times
def huggingface_structured_json_response(prompt, schema, model="openai/gpt-oss-120b:groq"):
    try:
        time.sleep(1)
        message = {"role": "user", "content": f"{prompt}\\n\\n{json.dumps(schema)}"}
        found = new_client().chat.completions.create(model=model, messages=[message], response_format=JSON)
        return parsed(found.choices[0].message.content)
    except Exception as error:
        raise Exception(f"Hugging Face structured JSON generation failed: {type(error).__name__}: {error}")
"""

_MADE_WELL: Final = """
from openai import APIStatusError, AsyncOpenAI

FALLBACKS = ["openai/gpt-oss-120b:cerebras"]


async def ask(prompt, models, check, **options):
    async with AsyncOpenAI(base_url="{url}", api_key=get_huggingface_api_key(), max_retries=0) as client:
        for model in models:
            try:
                message = {"role": "user", "content": prompt}
                found = await client.chat.completions.create(model=model, messages=[message], **options)
            except APIStatusError as error:
                if error.status_code in {401, 402, 403}:
                    raise
                if error.status_code == 404:
                    raise RuntimeError("404 at {url}: no route")
                continue
            return check(found.choices[0].message.content)
    raise RuntimeError("no model could be used")


def checked(text):
    value = json.loads(text)
    if set(value) != {"title", "score"}:
        raise ValueError("not what was asked for")
    return value


async def huggingface_text_response(prompt, model=FALLBACKS[0]):
    return await ask(prompt, [model, *FALLBACKS], str)


async def huggingface_structured_json_response(prompt, schema, model=FALLBACKS[0]):
    return await ask(f"{prompt} {json.dumps(schema)}", [model, *FALLBACKS], checked, response_format=JSON)
"""

_WRONG: Final = "https://router.huggingface.co/hf/v1"
_RIGHT: Final = "https://router.huggingface.co/v1"


def _provider(rest: str, url: str) -> str:
    return (_BEGINNING + rest).replace("{url}", url)


OLD: Final = _provider(_CHAIN, _WRONG)
"""8c2d88ef: a chain of five models that waits for a 404, in two passes, six times over."""
HEAD: Final = _provider(_LOST_CHAIN, _WRONG)
"""ce9bf293: the chain is lost, and the second pass uses a name that does not exist."""
WHOLE: Final = _provider(_WHOLE, _WRONG)
"""ce9bf293 in all that its callers rely on, with its wrong base URL and its six attempts."""
BORN: Final = _provider(_ONE_MODEL, _WRONG)
"""26131232: where the wrong base URL came from."""
CORRECTED: Final = _provider(_CHAIN, _RIGHT)
"""01881bb4: the right base URL; all else as before."""
MADE_WELL: Final = _provider(_MADE_WELL, _RIGHT)
"""Somebody's own cure: asynchronous, and with none of the faults."""
CONFLICT: Final = """
def huggingface_structured_json_response(prompt, schema):
<<<<<<< HEAD
    url = "https://router.huggingface.co/v1"
=======
    url = "https://router.huggingface.co/hf/v1"
>>>>>>> theirs
"""
"""4230385e and its days: a merge that was committed half done."""

DROP_IN: Final = """
import asyncio

from alwrity_checks.hf import Chain, Router, StructuredGenerator

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


async def generate(prompt, schema, *models):
    router = Router.from_environment()
    try:
        generator = StructuredGenerator(router, Chain.unmeasured(*models))
        return (await generator.generate(prompt, schema)).value
    finally:
        await router.aclose()


def huggingface_structured_json_response(prompt, schema, model, fallback_models=()):
    return asyncio.run(generate(prompt, schema, model, *fallback_models))


def huggingface_text_response(prompt, model, fallback_models=()):
    return asyncio.run(generate(prompt, TEXT, model, *fallback_models))["text"]
"""
"""A checkout that took our component in the place of its own provider."""

_LOGGER: Final = """
from loguru import logger


def get_service_logger(name):
    return logger.bind(service=name)
"""


def write_checkout(root: Path, provider: str) -> Path:
    """Lay out a checkout whose provider has this source; return the backend's directory."""
    backend = root / "backend"
    refusing = "raise ImportError('this package needs the whole application')\n"
    files = {
        "app.py": refusing,
        "start_alwrity_backend.py": refusing,
        "middleware/__init__.py": "",
        "services/__init__.py": refusing,
        "services/llm_providers/__init__.py": refusing,
        "services/llm_providers/huggingface_provider.py": provider,
        "utils/logger_utils.py": _LOGGER,
        ".env": f"HF_TOKEN={SECRET}\n",
    }
    for name, text in files.items():
        path = backend / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return backend
