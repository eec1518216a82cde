"""A secret never leaves the process whole: neither wrapped ones by any way out, nor credentials in foreign text."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import traceback
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from alwrity_checks import redaction
from alwrity_checks.redaction import Secret, adopt_key, credentials, fingerprint, masked, scrub, shared_key

if TYPE_CHECKING:
    from alwrity_checks.auth.mint import Instance

VALUE = "sk_test_hushhushhush1234567890"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyXzEifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
PRIVATE = (
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7\n-----END PRIVATE KEY-----"
)


@pytest.mark.parametrize(
    "out",
    [
        repr,
        str,
        lambda secret: f"<{secret}>",
        lambda secret: f"{secret!r}",
        lambda secret: f"{secret!s}",
        format,
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - one of the ways out
        "{}".format,
        lambda secret: repr([secret, {"a": secret}, (secret,)]),
        lambda secret: json.dumps({"a": secret}, default=str),
        lambda secret: repr(dataclasses.make_dataclass("Holder", ["secret"])(secret)),
        lambda secret: str(ValueError(secret)),
        lambda secret: repr(dir(secret)) + repr(type(secret).__doc__),
    ],
)
def test_no_way_of_writing_it_shows_it(out: object) -> None:
    """Every way of turning a secret into text gives its mask."""
    text = out(Secret(VALUE))  # type: ignore[operator] # each is a function
    assert "hushhush" not in text


def test_the_mask_tells_the_class_and_nothing_more() -> None:
    """A mask is the class prefix and a fingerprint."""
    assert repr(Secret(VALUE)) == f"sk_test_…#{fingerprint(VALUE)}"
    assert repr(Secret("hunter2")) == f"…#{fingerprint('hunter2')}"
    assert repr(Secret("")).startswith("…#")


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_it_is_not_serialised(way: object) -> None:
    """What would write it out, or duplicate it unseen, is refused."""
    with pytest.raises(TypeError) as caught:
        way(Secret(VALUE))  # type: ignore[operator] # each is a function
    assert "hushhush" not in str(caught.value)


def test_it_has_no_dictionary() -> None:
    """`vars` finds nothing to show."""
    with pytest.raises(TypeError):
        vars(Secret(VALUE))


def test_a_log_shows_the_mask(caplog: pytest.LogCaptureFixture) -> None:
    """A secret as a logging argument is masked."""
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("key %s %r", Secret(VALUE), {"k": Secret(VALUE)})
    assert "hushhush" not in caplog.text
    assert "sk_test_…#" in caplog.text


def test_a_traceback_shows_the_mask() -> None:
    """A traceback with the values of local variables has the mask only."""
    secret = Secret("hushhush-in-a-frame")
    try:
        raise RuntimeError(secret)  # noqa: TRY301 - the frame with the secret is what is tried
    except RuntimeError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert secret
    assert repr(secret) in text
    assert "hushhush-in-a-frame" not in text.replace('Secret("hushhush-in-a-frame")', "")


def test_equality_and_truth() -> None:
    """Equal secrets are equal and hash alike, to nothing else; an empty one is false."""
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE
    assert len({Secret(VALUE), Secret(VALUE)}) == 1
    assert Secret(VALUE)
    assert not Secret("")
    assert len(Secret("abc")) == 3
    assert Secret("\ud800") == Secret("\ud800")
    assert Secret(VALUE).reveal() == VALUE


def test_fingerprints() -> None:
    """Equal within a process for equal values, as text or bytes; 8 hexadecimal digits."""
    assert fingerprint(VALUE) == fingerprint(VALUE) == fingerprint(VALUE.encode())
    assert fingerprint(VALUE) != fingerprint(VALUE + "x")
    assert len(fingerprint("")) == 8
    assert int(fingerprint("\ud800"), 16) >= 0


def test_fingerprints_mean_nothing_elsewhere() -> None:
    """Another process gives another fingerprint: a report's cannot be looked up in a table of guesses."""
    import os
    import subprocess
    import sys

    elsewhere = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", f"from alwrity_checks.redaction import fingerprint; print(fingerprint({VALUE!r}))"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True, check=True, text=True, timeout=30,
    ).stdout.strip()  # fmt: skip
    assert elsewhere != fingerprint(VALUE)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"token {JWT} refused", JWT.split(".")[1]),
        (f"token {JWT} refused", JWT.split(".")[2]),
        (f"Authorization: Bearer {JWT}", JWT.split(".")[2]),
        (f"Bearer%20{JWT}", JWT.split(".")[2]),
        ("Authorization: Bearer opaque-token-12345", "opaque-token-12345"),
        ("authorization: bearer opaque-token-12345", "opaque-token-12345"),
        ("Bearer%20opaque-token-12345", "opaque-token-12345"),
        ("Authorization%3A%20Bearer%20opaque-token-12345", "opaque-token-12345"),
        ("Bearer+opaque-token-12345", "opaque-token-12345"),
        ("Authorization: Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy"),
        ("Incorrect API key provided: sk-proj-Ab1Ab1Ab1Ab1Ab1Ab1.", "Ab1Ab1Ab1"),
        ("key=gsk_Ab1Ab1Ab1Ab1Ab1Ab1Ab1", "Ab1Ab1Ab1"),
        ("?key=AIzaSyAb1Ab1Ab1Ab1Ab1Ab1Ab1", "Ab1Ab1Ab1"),
        *(
            (f"x={prefix}AbCdEfGh12345678 y", "AbCdEfGh12345678")
            for prefix in ("sk_test_", "sk_live_", "whsec_", "ak_", "oat_", "mt_", "m2m_", "hf_", "dvb_")
        ),
        (PRIVATE, "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"),
        (PRIVATE.replace("\n", "\\n"), "BKcwggSjAgEAAoIBAQC7"),
        (PRIVATE.replace("PRIVATE", "RSA PRIVATE"), "BKcwggSjAgEAAoIBAQC7"),
        (PRIVATE.replace("PRIVATE", "ENCRYPTED PRIVATE"), "BKcwggSjAgEAAoIBAQC7"),
        (PRIVATE[:90], "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"),
        ("postgres://user:hunter2secret@db/x", "hunter2secret"),
        ("redis://:hunter2secret@cache:6379/0", "hunter2secret"),
        ("https://hunter2secret@github.com/x", "hunter2secret"),
        ("https://user:hunter2@secret@host/x", "secret@"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_credentials_in_foreign_text(text: str, secret: str) -> None:
    """What is shaped like a credential is masked wherever it stands."""
    assert secret in text
    assert secret not in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "plain text", "user_2fooBar and ins_2fooBar", "https://clerk.example.com/.well-known/jwks.json",
        "task_list", "pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk", "make_it_so",
        "-----BEGIN PUBLIC KEY-----\nMIIB",
        "2026-01-01T00:00:00Z host:8000 a@example.com", "http://127.0.0.1:8000/x?y=a@b.example", "bearer of news",
        "the bearer token is missing", "a Basic credential",
    ],
)  # fmt: skip
def test_ordinary_text_stays(text: str) -> None:
    """Prose, public keys, ids and URLs are left as they are."""
    assert scrub(text) == text


def test_what_was_wrapped_is_masked_whatever_its_shape() -> None:
    """A secret of any shape is found again in foreign text, in the middle of a word too."""
    secret = Secret("correct horse battery staple")
    assert scrub("xcorrect horse battery stapley") == f"x{secret!r}y"


def test_the_longest_secret_wins() -> None:
    """A secret that contains another is masked as a whole."""
    Secret("battery-acid")
    longer = Secret("battery-acid-and-more")
    assert scrub("got battery-acid-and-more") == f"got {longer!r}"


def test_short_and_cautious_values_are_not_cut_out_of_words() -> None:
    """A value of fewer than 8 characters, or one that is masked for caution only, stays in ordinary text."""
    Secret("true")
    Secret("production-like", scrubbed=False)
    assert scrub("true production-like") == "true production-like"


def test_one_token_has_one_mask() -> None:
    """A token has the same mask alone and after Bearer: the reader can tell that it is the same."""
    alone = scrub(JWT)
    assert alone.endswith(fingerprint(JWT))
    assert scrub(f"Authorization: Bearer {JWT}") == f"Authorization: Bearer {alone}"
    assert scrub(f"Bearer {VALUE}") == f"Bearer {scrub(VALUE)}"


def test_scrubbing_twice_changes_nothing_more() -> None:
    """Text that went through one filter may go through another."""
    Secret("correct horse battery staple")
    for text in (
        JWT,
        f"Bearer {JWT}",
        VALUE,
        PRIVATE,
        "postgres://user:hunter2secret@db/x",
        "correct horse battery staple",
        "Authorization: Basic dXNlcjpodW50ZXIy",
    ):
        assert scrub(scrub(text)) == scrub(text)


def test_a_genuine_token_and_key(instance: Instance) -> None:
    """A real token and a real private key are masked to the last character that matters."""
    token = instance.token()
    cleaned = scrub(f"<{token}> {b64encode(b'x').decode()}")
    assert not any(part in cleaned for part in token.split("."))


def test_scrubbing_while_secrets_are_made() -> None:
    """Threads may wrap secrets while others scrub."""
    from concurrent.futures import ThreadPoolExecutor

    def work(number: int) -> str:
        for turn in range(50):
            Secret(f"thread-secret-{number}-{turn}")
        return scrub(f"a thread-secret-{number}-7 b")

    with ThreadPoolExecutor(8) as pool:
        assert all("thread-secret" not in text for text in pool.map(work, range(32)))


@pytest.mark.parametrize(
    "text", [f"Bearer {JWT} and {JWT}", f"key {VALUE}, {PRIVATE}", "https://a:b@host/x", "nothing"]
)
def test_credentials_are_what_scrub_masks(text: str) -> None:
    """Where `credentials` sees something, and nowhere else, `scrub` changes the text."""
    spans = sorted(set(credentials(text)))
    seen = text
    for start, end in reversed(spans):
        seen = seen[:start] + masked(text[start:end]) + seen[end:]
    assert (seen == text) is (scrub(text) == text)
    assert all(text[start:end] not in scrub(text) for start, end in spans)


def test_processes_of_one_run_share_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """With another process's key, fingerprints are that process's."""
    before = fingerprint("x")
    monkeypatch.setattr(redaction, "_process_key", shared_key())
    adopt_key(b"0" * 16)
    assert fingerprint("x") != before
    assert shared_key() == b"0" * 16
