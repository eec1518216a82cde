"""The door of a bundle: nothing secret comes through in any spelling, what comes through is counted, prose is left."""

from __future__ import annotations

import base64
import json
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from alwrity_checks.catalogue import rules
from alwrity_checks.model import CheckResult, Evidence, Finding, Location, LocationKind, Report, Verdict
from alwrity_checks.redaction import Secret, masked
from alwrity_checks.settings import Settings
from alwrity_doctor.bundle.ledger import MASKED_BEFORE, VALUE, Door, Removed, known_secrets
from alwrity_doctor.report import render
from tests.support.seeded_log import PLAIN, SEEDS, seeded_lines
from tests.support.shared_report import shared_report

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKS = Path(__file__).parent.parent.parent / "checks" / "alwrity_checks"
OPAQUE = "correct-horse/battery"


def known(tmp_path: Path, dotenv: str = "", **environment: str) -> dict[str, str]:
    """Return the names and values that the door of such settings knows."""
    path = tmp_path / ".env"
    path.write_text(dotenv, encoding="utf-8")
    found = known_secrets(Settings.load(environment=environment, env_files=[path]))
    return {name.partition(" ")[0]: value.reveal() for name, value in found.items()}


@pytest.mark.parametrize(
    ("name", "value", "kept_out"),
    [
        ("DB_PASSWORD", "hunter", True),
        ("DB_PASSWORD", "hunt", False),
        ("DB_PASSWORD", "12345678", False),
        ("MODE", "development", False),
        ("MODE", "x7-development", True),
        ("CACHE", "/var/cache/alwrity-7", False),
        ("CLERK_PUBLISHABLE_KEY", "pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk", False),
        ("CLERK_AUTHORIZED_PARTIES", "https://app.example.com", False),
        ("GIT_AUTHOR_NAME", "octocat", False),
        ("API_TOKEN", "configured", False),
    ],
)
def test_which_values_are_kept_out(tmp_path: Path, name: str, value: str, *, kept_out: bool) -> None:
    """What opens something is, and what may; a word, a path or what is public would be cut out of ordinary text."""
    assert (value in known(tmp_path, f"{name}={value}\n").values()) is kept_out


def test_the_environment_is_looked_at_by_its_names(tmp_path: Path) -> None:
    """A secret that only the process's environment holds is known as well; what is nobody's business is not."""
    found = known(tmp_path, API_TOKEN=OPAQUE, EDITOR="vim-9-of-mine", SSH_AUTH_SOCK="/tmp/agent.77")  # noqa: S108 - a made-up path
    assert found == {"API_TOKEN": OPAQUE}


@pytest.mark.parametrize(
    "spelling",
    [
        OPAQUE,
        json.dumps(OPAQUE),
        f"postgres://bob:{OPAQUE}@db/app",
        f"?next={quote(OPAQUE, safe='')}",
        base64.b64encode(OPAQUE.encode()).decode(),
        f"x{OPAQUE}y",
        quote(OPAQUE, safe="").replace("%2F", "%2f"),
        quote(quote(OPAQUE, safe=""), safe=""),
        "".join(f"%{byte:02x}" for byte in OPAQUE.encode()),
        "".join(f"\\u{byte:04x}" for byte in OPAQUE.encode()),
        OPAQUE.encode().hex(),
        OPAQUE.encode().hex().upper(),
        OPAQUE.replace("/", "\\/"),
        f"{OPAQUE[:7]}\x1b[31m{OPAQUE[7:]}\x1b[0m",
        f"{OPAQUE[:7]}\r\n    {OPAQUE[7:]}",
        *(base64.b64encode(f"{user}{OPAQUE}!".encode()).decode() for user in ("b:", "bo:", "bob:")),
        *(base64.urlsafe_b64encode(f"{user}{OPAQUE}!".encode()).decode() for user in ("b:", "bo:", "bob:")),
    ],
)
def test_a_known_value_is_seen_in_no_spelling(spelling: str) -> None:
    """Quoted, escaped, encoded or in the middle of a word: it is masked, and counted as the value of a setting."""
    door = Door({"DB_PASSWORD": Secret(OPAQUE)})
    clean = door.text(f"before {spelling} after", "a.txt")
    assert spelling not in clean
    assert OPAQUE not in clean
    assert OPAQUE[:12] not in clean
    assert OPAQUE.encode().hex() not in clean.lower()
    assert base64.b64encode(OPAQUE.encode()).decode()[:16] not in clean
    assert clean.startswith("before ")
    assert door.removed()


@pytest.mark.parametrize("end", ["", "…", "..."])
def test_a_value_that_an_example_cuts_off_is_still_one(end: str) -> None:
    """A report shows the beginning of a long line: what ends there in the middle of a value does not show its half."""
    door = Door({"DB_PASSWORD": Secret(OPAQUE)})
    clean = door.text(f"tried {OPAQUE[:-4]}{end}", "a.txt")
    assert clean.startswith("tried …#")
    assert "correct" not in clean
    assert door.text("it is correct", "a.txt") == "it is correct"


def test_what_lines_cut_apart_leaves_as_many_lines() -> None:
    """The numbers of the lines behind a wrapped value stay those of the log."""
    door = Door({"DB_PASSWORD": Secret(OPAQUE)})
    clean = door.text(f"one {OPAQUE[:5]}\n  {OPAQUE[5:]} two\nthree", "a.txt")
    assert clean == f"one {masked(OPAQUE)}\n two\nthree"


def test_a_key_of_several_lines_is_known_by_each(tmp_path: Path) -> None:
    """A log that shows one line of a private key of the settings shows none of it."""
    lines = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "BKcwggSjAgEAAoIBAQC7vbqajDw4o6gJ"]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])
    values = known(tmp_path, f'SIGNING_KEY="{key}"\n')
    door = Door({name: Secret(value) for name, value in values.items()})
    assert lines[1] not in door.text(f"read {lines[1]} of 26", "a.txt")


def test_a_known_key_hides_no_other_one(tmp_path: Path) -> None:
    """Another private key in a log begins with the same line as that of the settings: it is still told by it."""
    head, tail = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
    values = known(tmp_path, f'SIGNING_KEY="{head}\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n{tail}"\n')
    door = Door({name: Secret(value) for name, value in values.items()})
    other = "BKcwggSjAgEAAoIBAQC7vbqajDw4o6gJ"
    assert other not in door.text(f"{head}\n{other}\n{tail}", "a.txt")


@pytest.mark.parametrize("at", range(0, len(seeded_lines()), 40))
def test_no_seed_comes_through(at: int) -> None:
    """Every kind of secret in every disguise is masked in a report's text, too."""
    for line, forbidden in seeded_lines()[at : at + 40]:
        clean = Door({}).text(line, "a.txt")
        for secret in forbidden:
            assert secret not in clean


def test_what_is_harmless_comes_through_as_it_is() -> None:
    """Lines that speak of secrets and hold none are not changed, and nothing is counted for them."""
    door = Door({})
    assert [door.text(line, "a.txt") for line in PLAIN] == list(PLAIN)
    assert door.removed() == []


def test_what_was_masked_before_is_counted() -> None:
    """The ledger tells what a check has masked: it was removed as well."""
    door = Door({})
    text = f"key {masked('sk_live_Abcdefgh12345678')} for user {masked('alice@example.com')}"
    assert door.text(text, "a.txt") == text
    assert door.removed() == [Removed("a.txt", MASKED_BEFORE, 2)]


def test_the_catalogues_prose_is_left_alone() -> None:
    """No rule's explanation is taken for a secret; the same words under another code are no longer the catalogue's."""
    for rule in rules().values():
        document = json.loads(render(_report(Finding(rule, "seen")), "json"))
        door = Door({})
        assert door.document(document, "a.json") == document
        assert door.removed() == []
    rule = rules()["AUTH001"]
    forged = {"code": "AUTH001", "title": rule.title, "remedy": "use sk_live_Abcdefgh12345678"}
    assert "Abcdefgh" not in str(Door({}).document(forged, "a.json"))


def test_the_words_of_the_house_come_through_alone_as_well() -> None:
    """A rule's text is also a check's title or remedy, and a cause's part of a message: none of it is a secret."""
    texts = [text for rule in rules().values() for text in (rule.title, rule.explanation, rule.remedy, rule.validation)]
    causes = tomllib.loads((CHECKS / "logs" / "causes.toml").read_text("utf-8"))
    texts += [f"{text}; 211 requests" for text in _strings(causes)]
    texts.append("accepted for user: …@… (ID: user_…); service not initialized for user user_…")
    assert len(texts) > 500
    door = Door({})
    assert [text for text in texts if door.text(text, "a.txt") != text] == []
    assert door.removed() == []


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def test_the_words_of_the_house_hide_nothing() -> None:
    """What stands around them is read in one piece: a key that begins before them goes on behind them."""
    body = "BKcwggSjAgEAAoIBAQC7vbqajDw4o6gJ"
    lines = ["-----BEGIN PRIVATE KEY-----", "user_…", "`Bearer TOKEN`", body, "-----END PRIVATE KEY-----"]
    clean = Door({}).text("\n".join([*lines, "user_…hf_Ab1Cd2Ef3Gh4Ij5"]), "a.txt")
    assert body not in clean
    assert "Ab1Cd2" not in clean


def _report(*findings: Finding, environment: dict[str, str] | None = None) -> Report:
    result = CheckResult("a.b", "all is well", 1, Verdict.FAIL, findings)
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    return Report("gate", "0", moment, timedelta(), (result,), environment=environment or {})


def test_a_report_without_a_secret_is_the_same_behind_the_door() -> None:
    """Hostile text is not what the door is for: a report that holds every odd character comes through unchanged."""
    # In a log `credential: NAME` would be a credential.
    document = json.loads(render(shared_report(), "json").replace("credential: ", "credential, "))
    assert Door({}).document(document, "a.json") == document


def test_a_secret_is_taken_out_wherever_a_report_can_hold_it() -> None:
    """Message, label, value, place, command, identity, names and values of the environment: none shows it."""
    token = "hf_AbCdEfGhIj1234567890"
    place = Location(LocationKind.URL, f"https://x.example/?token={token}")
    finding = Finding(
        rules()["HF100"],
        f"refused {token}",
        (Evidence(token, token),),
        place,
        (f"curl -H '{token}'",),
        f"call('{token}')",
    )
    report = _report(finding, environment={token: token})
    door = Door({})
    clean = json.dumps(door.document(json.loads(render(report, "json")), "a.json"))
    assert "AbCdEf" not in clean
    assert sum(one.count for one in door.removed()) == 8


@pytest.mark.parametrize(
    ("label", "value", "kept"),
    [
        ("password", "hunter77", False),
        ("the database password", "hunter77", False),
        ("apiKey", "hunter77", False),
        ("api_key", "hunter77", False),
        ("clientSecret", "hunter77", False),
        ("pyjwt", "2.15.1", True),
        ("tokens", "128", True),
        ("token", "absent, as the header says", True),
        ("token", "missing", True),
        ("token", "42", True),
        ("signature", "genuine", True),
    ],
)
def test_a_label_can_say_that_its_value_is_a_secret(label: str, value: str, *, kept: bool) -> None:
    """A word without a form of its own is masked beside such a name, a sentence or a number is not."""
    for document in ({"label": label, "value": value}, {label: value}):
        shown = json.dumps(Door({}).document(document, "a.json"))
        assert (value in shown) is kept


@pytest.mark.parametrize(
    ("identity", "kept"),
    [
        ("f: llm(prompt=prompt, user_id=user_id)", True),
        ("f: signing_key = client.get_signing_key_from_jwt(token)", True),
        ("f: OpenAI(api_key='hunter77-of-mine')", False),
        ('f: password = "hunter77-of-mine"', False),
        ("f: token = 'hf_hunter77-of-mine1234567890'", False),
    ],
)
def test_an_identity_is_a_line_of_a_source(identity: str, *, kept: bool) -> None:
    """A name behind `user_id=` is no user, and a baseline goes on to match; a literal is a secret."""
    clean = Door({}).document({"identity": identity}, "a.json")["identity"]
    assert (clean == identity) is kept
    assert "hunter77" not in clean


def test_the_ledger_is_sorted_and_never_holds_the_thing() -> None:
    """Kind, count and file: the values themselves are nowhere in it."""
    door = Door({"X_TOKEN": Secret(OPAQUE)})
    for seed in SEEDS:
        door.text(seed.line, "b.txt")
    door.text(OPAQUE, "a.txt")
    removed = door.removed()
    assert removed == sorted(removed)
    assert Removed("a.txt", VALUE, 1) in removed
    assert len({one.kind for one in removed}) > 10
    shown = str(removed)
    assert OPAQUE not in shown
    assert not any(seed.secret in shown for seed in SEEDS)
