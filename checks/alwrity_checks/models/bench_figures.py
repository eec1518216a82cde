"""What a bench measures, and its document: JSON of a schema of its own, which a later run reads as its baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.models.bench_carrier import Carrier
from alwrity_checks.models.measuring import BUSY, Memory, Usage
from alwrity_checks.models.steps import Precision

__all__ = [
    "IMPORTS",
    "JSON",
    "LOAD",
    "MEASURED",
    "RELEASE",
    "SCHEMA",
    "WARM_UP",
    "Answer",
    "Bench",
    "Case",
    "Download",
    "Failure",
    "Mark",
    "Result",
    "Sample",
    "Spread",
    "Surroundings",
    "Workload",
]

SCHEMA: Final = "alwrity-doctor/models-bench/1"

IMPORTS: Final = "imports"
LOAD: Final = "load"
WARM_UP: Final = "warm-up"
MEASURED: Final = "measured"
JSON: Final = "json"
RELEASE: Final = "release"


@dataclass(frozen=True, slots=True)
class Workload:
    """What is done with each model."""

    prompt_tokens: int = 128
    new_tokens: int = 32
    repetitions: int = 3
    warmup: int = 1
    """Answers before the measured ones; the first one is shown apart, because a user waits for it."""
    threads: int | None = None
    """None: what the runtime chooses."""
    schemas: int = 0
    """JSON answers to ask for."""


@dataclass(frozen=True, slots=True)
class Case:
    """A model in a runtime and a precision."""

    model: str
    carrier: Carrier
    precision: Precision

    def __str__(self) -> str:
        name = self.model.rpartition("/")[2]
        return f"{name} {self.carrier} {self.precision}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer's times."""

    prompt_tokens: int
    tokens: int
    time_to_first_token: float
    decode_seconds: float
    """From the first token to the last."""

    @property
    def prefill_rate(self) -> float | None:
        """Tokens of the prompt per second."""
        return self.prompt_tokens / self.time_to_first_token if self.time_to_first_token > 0 else None

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens per second after the first one; None where there is no second."""
        return (self.tokens - 1) / self.decode_seconds if self.tokens > 1 and self.decode_seconds > 0 else None


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one figure."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread | None:
        """Return the spread of the values that there are; None of none."""
        from statistics import median  # here, because it takes 10 ms to load

        known = [value for value in values if value is not None]
        return cls(median(known), min(known), max(known)) if known else None


@dataclass(frozen=True, slots=True)
class Sample:
    """The memory at one moment, for the picture: peaks between two samples are not in it."""

    at: float
    """Seconds since the child was started."""
    resident: int
    anonymous: int | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """When a phase began."""

    at: float
    phase: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a case has no figures, or not all."""

    reason: str
    diagnosis: str
    remedy: str
    phase: str
    """In which phase it ended; empty: before the first."""


@dataclass(frozen=True, slots=True)
class Download:
    """What it took to have the model on this machine."""

    seconds: float
    bytes: int
    """Of all files that are needed, whether they came now or in an earlier try that was interrupted."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one case came to, in a process of its own."""

    case: Case
    usages: tuple[Usage, ...] = ()
    first: Answer | None = None
    """The first answer of all; None where there was no warm-up."""
    answers: tuple[Answer, ...] = ()
    json_valid: int | None = None
    """Of the JSON answers asked for; None where none were."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    marks: tuple[Mark, ...] = ()
    failure: Failure | None = None
    download: Download | None = None
    """None where the model was on this machine already."""
    prepared_seconds: float | None = None
    """For the conversion, where one was needed and not there yet."""
    read_per_token: int | None = None
    """Bytes of weights that a token's pass reads."""
    bandwidth: float | None = None
    """Bytes per second that this machine read from memory right after: on a shared host it changes by the minute."""

    def usage(self, phase: str) -> Usage | None:
        """Return what a phase took; None where it was not carried out."""
        return next((one for one in self.usages if one.phase == phase), None)

    @property
    def peak_rss(self) -> int | None:
        """The most that was resident, as the kernel counts it."""
        return max((one.peak_rss for one in self.usages if one.peak_rss is not None), default=None)

    @property
    def peak_anonymous(self) -> int | None:
        """The most that cannot be given back, as far as it was seen: at the ends of phases and in samples."""
        seen = [one.after.anonymous for one in self.usages] + [one.anonymous for one in self.samples]
        return max((one for one in seen if one is not None), default=None)

    @property
    def after_load(self) -> Memory | None:
        """The memory when the model was loaded."""
        loaded = self.usage(LOAD)
        return None if loaded is None else loaded.after

    @property
    def cpu_seconds(self) -> float:
        """Processor time of everything."""
        return sum(one.cpu_seconds for one in self.usages)

    @property
    def wait_share(self) -> float | None:
        """The greatest part of a timed phase in which threads waited for a processor."""
        timed = [one.wait_share for one in self.usages if one.phase in {LOAD, WARM_UP, MEASURED}]
        return max((one for one in timed if one is not None), default=None)

    @property
    def busy(self) -> bool:
        """Whether the machine had too much else to do for figures of time to be relied on."""
        return (self.wait_share or 0.0) >= BUSY

    @property
    def time_to_first_token(self) -> Spread | None:
        """Seconds until the first token of an answer."""
        return Spread.of([one.time_to_first_token for one in self.answers])

    @property
    def prefill(self) -> Spread | None:
        """Tokens of the prompt per second."""
        return Spread.of([one.prefill_rate for one in self.answers])

    @property
    def decode(self) -> Spread | None:
        """Tokens per second after the first one."""
        return Spread.of([one.tokens_per_second for one in self.answers])


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The machine, as far as figures depend on it."""

    processor: str
    threads: int
    memory: int
    """Bytes."""
    system: str
    bandwidth: float | None = None
    """Bytes per second that this machine read from memory before the first case."""

    def same_machine(self, other: Surroundings) -> bool:
        """Say whether the two look like one machine; a memory module's worth of difference is none."""
        return (self.processor, self.threads, self.system) == (other.processor, other.threads, other.system) and (
            abs(self.memory - other.memory) < 1 << 30
        )


@dataclass(frozen=True, slots=True)
class Bench:
    """A whole run."""

    version: str
    """Of alwrity-doctor."""
    started: str
    """ISO 8601."""
    synthetic: bool
    workload: Workload
    surroundings: Surroundings
    results: tuple[Result, ...]

    def fraction(self, result: Result) -> float | None:
        """Return what part of the possible rate a model's decoding reached: bandwidth / bytes read per token is all."""
        limit = self.limit(result)
        return None if limit is None or result.decode is None else result.decode.median / limit

    def limit(self, result: Result) -> float | None:
        """Return the tokens per second that the memory's bandwidth allows; None where one of the two is not known."""
        bandwidth = result.bandwidth or self.surroundings.bandwidth
        return bandwidth / result.read_per_token if bandwidth and result.read_per_token else None

    def to_json(self) -> str:
        """Return the document."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Bench:
        """Return what `to_json` wrote. Raises ConfigurationError for anything else."""
        try:
            document = json.loads(text)
            if document["schema"] != SCHEMA:
                raise ConfigurationError(
                    f"the document's schema is {document['schema']!r:.80}, not {SCHEMA!r}",
                    "name a file that `alwrity-doctor models bench --save FILE` wrote",
                )
            return cls(
                version=str(document["version"]),
                started=str(document["started"]),
                synthetic=bool(document["synthetic"]),
                workload=Workload(**document["workload"]),
                surroundings=Surroundings(**document["surroundings"]),
                results=tuple(result_of(one) for one in document["results"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ConfigurationError(
                "this is no document of a bench",
                "name a file that `alwrity-doctor models bench --save FILE` wrote",
            ) from error


def usage_of(told: Mapping[str, Any]) -> Usage:
    """Return a phase's usage from JSON. Raises KeyError, TypeError."""
    return Usage(**{**told, "after": Memory(**told["after"])})


def result_of(told: Mapping[str, Any]) -> Result:
    """Return a result from JSON. Raises KeyError, TypeError, ValueError."""
    case, first, failure = told["case"], told["first"], told["failure"]
    download = told.get("download")  # the first documents had none
    return Result(
        case=Case(str(case["model"]), Carrier(case["carrier"]), Precision(case["precision"])),
        usages=tuple(usage_of(one) for one in told["usages"]),
        first=None if first is None else Answer(**first),
        answers=tuple(Answer(**one) for one in told["answers"]),
        json_valid=told["json_valid"],
        libraries=dict(told["libraries"]),
        samples=tuple(Sample(**one) for one in told["samples"]),
        marks=tuple(Mark(**one) for one in told["marks"]),
        failure=None if failure is None else Failure(**failure),
        download=None if download is None else Download(**download),
        prepared_seconds=told["prepared_seconds"],
        read_per_token=told["read_per_token"],
        bandwidth=told["bandwidth"],
    )
