"""What a library's exception means: one table for all runtimes.

Memory is told by type, by number or by the words of torch's and onnxruntime's allocators, which are compiled in and
never translated; the system's own words are, so they decide nothing.
"""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from alwrity_checks.errors import DoctorError, MissingExtra
from alwrity_checks.models.errors import LoadFailed, ModelError, OutOfMemory
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.heap import give_back
from alwrity_checks.redaction import scrub

__all__ = ["failure", "out_of_memory", "reason_of", "remedy", "told"]

_COMMIT_LIMIT: Final = 1455
"""Windows: ERROR_COMMITMENT_LIMIT, "the paging file is too small", in the language of the system."""
_NOT_ENOUGH: Final = frozenset({8, 14, _COMMIT_LIMIT})
"""Windows: ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, ERROR_COMMITMENT_LIMIT."""
_RESERVE: Final = 1 << 20
"""Bytes that are kept for telling that there are no more."""
_TOLD: Final = 300
"""Characters of a foreign exception that are passed on."""

_MEMORY: Final = re.compile(
    r"bad[ _]alloc|bad allocation"  # C++
    r"|DefaultCPUAllocator: (?:can't|not enough|can not)"  # torch, c10/core/impl/alloc_cpu.cpp
    r"|Failed to allocate memory"  # onnxruntime, bfc_arena.cc; torch
    r"|(?:os error|errno|\(|Error code )\s?(?:12|1455)\b"  # Rust (safetensors), torch's mmap, torch on Windows
    r"|out of memory",
    re.IGNORECASE,
)
_NO_FRAME: Final = re.compile(r"<function .*> returned NULL without setting an exception", re.DOTALL)
"""Of a function in Python, CPython 3.11 says so where it found no memory for a frame (seen in 3.11.7, RLIMIT_AS)."""
_BY_TEXT: Final[tuple[tuple[Reason, re.Pattern[str]], ...]] = (
    (
        Reason.FILE_TRUNCATED,
        re.compile(
            r"MetadataIncompleteBuffer|IncompleteMetadata|InvalidHeaderLength|HeaderTooSmall"  # safetensors
            r"|out of bounds|(?:exceeds|beyond|larger than) the (?:file|end|size)|exceeds file|cannot be read in full",
            re.IGNORECASE,
        ),
    ),
    (
        Reason.FILE_MISSING,
        re.compile(
            r"no such file|does ?n[o']t exist|does not appear to have a file|can't load tokenizer|no file named"
            r"|not found",
            re.IGNORECASE,
        ),
    ),
    (
        Reason.ARCHITECTURE_UNSUPPORTED,
        re.compile(
            r"does not recognize this architecture|unrecognized (?:model|configuration)|unsupported model_type"
            r"|trust_remote_code|model type .*not supported|not a registered function/op|is not currently supported",
            re.IGNORECASE,
        ),
    ),
    (
        Reason.FILE_CORRUPT,
        re.compile(
            r"invalid_protobuf|protobuf parsing failed|InvalidHeader|SafetensorError|header|corrupt"
            r"|expecting value|JSON (?:decode|parse)|parse error|invalid (?:json|utf)|size mismatch",
            re.IGNORECASE,
        ),
    ),
)
_REMEDIES: Final = {
    Reason.FILE_TRUNCATED: "remove the model's directory from the cache and fetch it again: alwrity-doctor models pull",
    Reason.FILE_MISSING: "fetch the model whole: alwrity-doctor models pull",
    Reason.FILE_CORRUPT: "remove the model's directory from the cache and fetch it again: alwrity-doctor models pull",
    Reason.ARCHITECTURE_UNSUPPORTED: "choose another model: alwrity-doctor models list",
    Reason.CONFIG_UNUSABLE: "fetch the model's config.json again, or choose another model: alwrity-doctor models list",
    Reason.OUT_OF_MEMORY: "choose a lighter step: alwrity-doctor models plan",
    Reason.LOAD_FAILED: "see what the library said; alwrity-doctor models plan shows the other steps",
}


def out_of_memory(error: BaseException) -> bool:
    """Say whether `error`, or one that it came from, means that memory ran out."""
    return any(_is_memory(one) for one in _chain(error))


def reason_of(error: BaseException) -> Reason:
    """Return the reason for which loading raised `error`."""
    if out_of_memory(error):
        return Reason.OUT_OF_MEMORY
    chain = list(_chain(error))
    if any(isinstance(one, FileNotFoundError) for one in chain):
        return Reason.FILE_MISSING
    text = " ".join(f"{type(one).__name__} {one}" for one in chain)
    return next((reason for reason, pattern in _BY_TEXT if pattern.search(text)), Reason.LOAD_FAILED)


def failure(error: BaseException, what: str) -> DoctorError:
    """Return our error for one that `what` ("loading DIRECTORY") raised; ours, and MissingExtra, pass unchanged."""
    if isinstance(error, DoctorError):
        return error
    if isinstance(error, ModuleNotFoundError):
        return MissingExtra("models", f"{what}: the module {error.name}")
    reason = reason_of(error)
    said = scrub(" ".join(str(error).split()))[:_TOLD] or type(error).__name__
    if reason is Reason.OUT_OF_MEMORY:
        return OutOfMemory(reason, f"memory ran out while {what}: {said}", _REMEDIES[reason])
    return LoadFailed(reason, f"{what} failed: {said}", _REMEDIES[reason])


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn what the block raises into our error, and free what it had loaded so far.

    A traceback keeps the half of a model alive that filled the memory: a lighter one would not fit beside it, and the
    interpreter itself may be left without the bytes that it needs to raise anything.
    """
    reserve: list[bytearray] = []
    try:
        reserve.append(bytearray(_RESERVE))
        yield
    except (Exception, MemoryError) as error:
        reserve.clear()
        found = failure(error, what)
        for one in _chain(error):
            traceback.clear_frames(one.__traceback__)
        give_back()
        raise found from error


def remedy(reason: Reason) -> str:
    """Return what to do about a load that failed for `reason`."""
    return _REMEDIES.get(reason, _REMEDIES[Reason.LOAD_FAILED])


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, ModelError):
        return error.reason is Reason.OUT_OF_MEMORY
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM or getattr(error, "winerror", None) in _NOT_ENOUGH
    if isinstance(error, SystemError):
        return _NO_FRAME.match(str(error)) is not None
    # An error in a file's content may quote anything; memory is told by those that come from native code.
    return (
        isinstance(error, RuntimeError) or type(error).__module__.startswith(("safetensors", "onnxruntime"))
        if _MEMORY.search(str(error))
        else False
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
