"""A foreign exception, and what it means: by type and number, and by words only where no system translates them."""

from __future__ import annotations

import errno

import pytest

from alwrity_checks.errors import MissingExtra
from alwrity_checks.models.errors import LoadFailed, ModelUnavailable, OutOfMemory
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.failures import failure, reason_of


class SafetensorError(Exception):
    """As the library's own, which is told by its module."""

    __module__ = "safetensors"


def windows_error(number: int) -> OSError:
    """Return what Windows raises, in a language that nobody here speaks."""
    error = OSError(errno.EINVAL, "Die Auslagerungsdatei ist zu klein")
    error.winerror = number  # type: ignore[attr-defined,unused-ignore]  # only Windows has it
    return error


def caused(outer: Exception, by: BaseException) -> Exception:
    """Return `outer`, raised from `by`."""
    outer.__cause__ = by
    return outer


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Nicht genügend Hauptspeicher verfügbar"),
        windows_error(1455),
        windows_error(8),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("unable to mmap 988097824 bytes from file <model.safetensors>: Cannot allocate memory (12)"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("bad allocation"),
        SafetensorError("Error while deserializing header: os error 1455"),
        SystemError("<function Config.__init__ at 0x7fb561d19580> returned NULL without setting an exception"),
        caused(ValueError("the model could not be loaded"), MemoryError()),
    ],
    ids=repr,
)
def test_memory_that_ran_out_is_told(error: Exception) -> None:
    """Every way in which the libraries say it becomes OutOfMemory with a remedy, whatever the system's language."""
    found = failure(error, "loading /models/m")
    assert isinstance(found, OutOfMemory)
    assert found.reason is Reason.OUT_OF_MEMORY
    assert "models plan" in found.remedy


@pytest.mark.parametrize(
    "error",
    [
        ValueError("the tensor model.out of memory is unknown"),
        OSError(errno.EACCES, "Permission denied"),
        windows_error(5),
        KeyError("bad_alloc"),
        SystemError("<built-in function load> returned NULL without setting an exception"),
        RuntimeError("shape '[12, 64]' is invalid"),
    ],
    ids=repr,
)
def test_other_failures_are_not_blamed_on_memory(error: Exception) -> None:
    """An error that only mentions memory, or has another number, does not send a chain to a lighter model."""
    assert reason_of(error) is not Reason.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(errno.ENOENT, "no", "x"), Reason.FILE_MISSING),
        (OSError("/m does not appear to have a file named config.json"), Reason.FILE_MISSING),
        (SafetensorError("Error while deserializing header: MetadataIncompleteBuffer"), Reason.FILE_TRUNCATED),
        (SafetensorError("Error while deserializing header: InvalidHeaderDeserialization"), Reason.FILE_CORRUPT),
        (RuntimeError("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model failed"), Reason.FILE_CORRUPT),
        (ValueError("Transformers does not recognize this architecture"), Reason.ARCHITECTURE_UNSUPPORTED),
        (RuntimeError("something else"), Reason.LOAD_FAILED),
    ],
    ids=repr,
)
def test_cause_is_told(error: Exception, reason: Reason) -> None:
    """A missing, a truncated and a damaged file, and an unknown architecture, are different outcomes."""
    found = failure(error, "loading")
    assert isinstance(found, LoadFailed)
    assert not isinstance(found, OutOfMemory)
    assert found.reason is reason
    assert found.remedy


def test_errors_of_ours_pass_unchanged() -> None:
    """What has a reason already keeps it."""
    error = ModelUnavailable(Reason.PICKLE_ONLY, "only pickles", "another one")
    assert failure(error, "loading") is error


def test_missing_module_is_a_missing_extra() -> None:
    """A library that is not there is told as the extra that brings it."""
    found = failure(ModuleNotFoundError("No module named 'torch'", name="torch"), "loading")
    assert isinstance(found, MissingExtra)
    assert "alwrity-doctor[models]" in found.remedy


def test_what_a_library_said_is_cut() -> None:
    """A traceback of a library does not become a page of a report."""
    assert len(failure(RuntimeError("x" * 10_000), "loading").diagnosis) < 400
