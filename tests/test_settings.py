"""Where each setting came from: precedence, and every odd thing a .env file can be."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import Context
from alwrity_checks.settings import Settings, Source

if TYPE_CHECKING:
    from pathlib import Path

NAME = "CLERK_PUBLISHABLE_KEY"


def env_file(directory: Path, content: str | bytes, name: str = ".env") -> Path:
    """Write a .env file."""
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(directory: Path, content: str | bytes) -> dict[str, tuple[str, str]]:
    """Return name -> (value, location) of a .env file's settings, the directory left out."""
    settings = Settings.load({}, [env_file(directory, content)])
    found = {}
    for layer in settings.dotenv:
        for name, setting in layer.items():
            found[name] = (setting.value.reveal(), str(setting.location).removeprefix(f"{directory}/"))
    return found


def test_a_flag_wins_over_the_environment_over_the_files(tmp_path: Path) -> None:
    """The first place that sets a name counts, and says which it is."""
    first, second = env_file(tmp_path, f"{NAME}=first"), env_file(tmp_path, f"{NAME}=second\nCLERK_A=2", "b.env")
    settings = Settings.load({NAME: "process"}, [first, second], {NAME: "flag"})
    found = settings.get(NAME)
    assert found is not None
    assert (found.value.reveal(), found.source, str(found.location)) == ("flag", Source.FLAG, NAME)
    found = Settings.load({NAME: "process"}, [first, second]).get(NAME)
    assert found is not None
    assert (found.value.reveal(), found.source, str(found.location)) == ("process", Source.ENVIRONMENT, f"${NAME}")
    settings = Settings.load({}, [first, second])
    found = settings.get(NAME)
    assert found is not None
    assert (found.value.reveal(), found.source, str(found.location)) == ("first", Source.DOTENV, f"{first}:1")
    assert settings.text("CLERK_A") == "2"
    assert settings.files == (first, second)


@pytest.mark.parametrize("blank", ["", "   "])
def test_a_blank_value_hides_what_comes_after(tmp_path: Path, blank: str) -> None:
    """A variable that is set to nothing is set, as for the backend's own loader."""
    path = env_file(tmp_path, f"{NAME}=good")
    assert Settings.load({NAME: blank}, [path]).text(NAME, "default") == blank
    hiding = env_file(tmp_path, f"{NAME}=", "first.env")
    assert Settings.load({}, [hiding, path]).text(NAME, "default") == ""


def test_a_name_without_a_value_is_not_set(tmp_path: Path) -> None:
    """A line that only names a variable sets nothing, as for the backend's own loader."""
    bare = env_file(tmp_path, f"{NAME}\n", "bare.env")
    assert Settings.load({}, [bare, env_file(tmp_path, f"{NAME}=good")]).text(NAME) == "good"


def test_absence() -> None:
    """What is set nowhere is None, or the default."""
    settings = Settings.load({})
    assert settings.get(NAME) is None
    assert settings.text(NAME, "x") == "x"
    assert settings.every(NAME, "CLERK_B") == ()


def test_several_names() -> None:
    """`get` returns the first name that is set, `every` each in the order asked for."""
    settings = Settings.load({"CLERK_B": "b", "CLERK_A": "a"})
    found = settings.get("CLERK_X", "CLERK_A", "CLERK_B")
    assert found is not None
    assert found.name == "CLERK_A"
    assert [one.name for one in settings.every("CLERK_B", "CLERK_X", "CLERK_A")] == ["CLERK_B", "CLERK_A"]


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the environment of the process counts."""
    monkeypatch.setenv(NAME, "from the process")
    assert Settings.load().text(NAME) == "from the process"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("A=1", {"A": ("1", ".env:1")}),
        ("A=1\nB=2", {"A": ("1", ".env:1"), "B": ("2", ".env:2")}),
        ("A=1\r\nB=2\r\n", {"A": ("1", ".env:1"), "B": ("2", ".env:2")}),
        ("# comment\nA=1", {"A": ("1", ".env:2")}),
        ("\n\n\nA=1", {"A": ("1", ".env:4")}),
        ("A=1\n\n\nB=2", {"A": ("1", ".env:1"), "B": ("2", ".env:4")}),
        ("A='1\n2'\nB=2", {"A": ("1\n2", ".env:1"), "B": ("2", ".env:3")}),
        ("A=1\nA=2", {"A": ("2", ".env:2")}),
        ("export A=1", {"A": ("1", ".env:1")}),
        ("  A = 1  ", {"A": ("1", ".env:1")}),
        ('A="x # y"', {"A": ("x # y", ".env:1")}),
        ("A='x\\ny'", {"A": ("x\\ny", ".env:1")}),
        ('A="x\\ny"', {"A": ("x\ny", ".env:1")}),
        ("A=x # comment", {"A": ("x", ".env:1")}),
        ("A=x#y", {"A": ("x#y", ".env:1")}),
        ("A=", {"A": ("", ".env:1")}),
        ("A=''", {"A": ("", ".env:1")}),
        ("", {}),
        ("\n# nothing\n", {}),
    ],
    ids=repr,
)
def test_forms_of_a_line(tmp_path: Path, content: str, expected: dict[str, tuple[str, str]]) -> None:
    """Values and line numbers of each form; the line is the one on which the name stands."""
    assert read(tmp_path, content) == expected


def test_a_byte_order_mark_is_what_the_backend_s_loader_makes_of_it(tmp_path: Path) -> None:
    """Releases of python-dotenv differ: ours is the name that the installed one gives the first setting."""
    from dotenv import dotenv_values

    path = env_file(tmp_path, b"\xef\xbb\xbf" + f"{NAME}=x\nCLERK_B=y".encode())
    settings = Settings.load({}, [path])
    assert set(settings.dotenv[0]) == set(dotenv_values(path, encoding="utf-8"))
    assert settings.text("CLERK_B") == "y"
    assert all(setting.location.line for setting in settings.dotenv[0].values())


@pytest.mark.parametrize(
    "content", ["A=1\nB=${A}2", "B=${A}2\nA=1", "A=1\nB=${A:-9}2", "B=${CLERK_NOWHERE:-1}2", "B='${A}'"]
)
@pytest.mark.parametrize("outside", [None, "process"])
def test_interpolation_is_the_backend_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, outside: str | None
) -> None:
    """A reference has the value that python-dotenv's load_dotenv gives it, with and without the name in the process."""
    from dotenv import load_dotenv

    monkeypatch.delenv("A", raising=False)
    monkeypatch.setenv("B", "")
    monkeypatch.delenv("B")
    if outside is not None:
        monkeypatch.setenv("A", outside)
    path = env_file(tmp_path, content)
    ours = Settings.load({} if outside is None else {"A": outside}, [path]).text("B")
    monkeypatch.setenv("A", outside or "")
    if outside is None:
        monkeypatch.delenv("A")
    load_dotenv(path)
    assert ours == os.environ["B"]


def test_interpolation_uses_the_environment_that_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting of the environment that was passed in can be referred to, one of the real process cannot."""
    monkeypatch.setenv("CLERK_REAL", "real")
    path = env_file(tmp_path, "B=${CLERK_GIVEN}\nC=${CLERK_REAL}")
    settings = Settings.load({"CLERK_GIVEN": "given"}, [path])
    assert (settings.text("B"), settings.text("C")) == ("given", "")


def test_lines_that_are_no_settings_are_passed_over(tmp_path: Path) -> None:
    """A line that cannot be parsed does not take the others with it."""
    assert read(tmp_path, "A=1\n=oops\n'\nB=2")["A"] == ("1", ".env:1")


@pytest.mark.parametrize(
    ("content", "what"), [(b"A=\xff\xfe", "UTF-8"), ("A=1".encode("utf-16"), "UTF-8"), (b"A=1\n" * 400_000, "1 MiB")]
)
def test_files_that_are_no_env_files(tmp_path: Path, content: bytes, what: str) -> None:
    """What is not UTF-8, or too large, is refused with a remedy."""
    with pytest.raises(ConfigurationError, match=what) as caught:
        Settings.load({}, [env_file(tmp_path, content)])
    assert caught.value.remedy


def test_a_file_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    """1 MiB is not too large."""
    content = b"A=1\n# " + b"x" * ((1 << 20) - 6)
    assert len(content) == 1 << 20
    assert read(tmp_path, content)["A"][0] == "1"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a directory are configuration errors."""
    for path in (tmp_path / "missing", tmp_path, tmp_path / "x" / "y"):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            Settings.load({}, [path])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions bind nobody here")
def test_a_file_without_permission(tmp_path: Path) -> None:
    """An unreadable file is a configuration error."""
    path = env_file(tmp_path, "A=1")
    path.chmod(0)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Settings.load({}, [path])


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no such device here")  # noqa: PTH110 - at import
def test_what_is_no_regular_file() -> None:
    """A device has no size that could be looked at first: it is read within the limit, or refused, in finite time."""
    from pathlib import Path

    assert Settings.load({}, [Path("/dev/null")]).get(NAME) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    """Secret managers serve a .env as a named pipe: what it gives is read in one go."""
    import threading

    path = tmp_path / ".env"
    os.mkfifo(path)

    def write() -> None:
        with path.open("w") as pipe:
            pipe.write(f"{NAME}=piped\n")

    # A second reader would wait for a second writer for ever: this one lets it find an empty pipe instead.
    writers = [threading.Thread(target=write, daemon=True) for _ in range(2)]
    writers[0].start()
    settings: list[Settings] = []
    reader = threading.Thread(target=lambda: settings.append(Settings.load({}, [path])), daemon=True)
    reader.start()
    reader.join(5)
    stuck = reader.is_alive()
    if stuck:
        writers[1].start()
        reader.join(5)
    assert not stuck
    assert settings[0].text(NAME) == "piped"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("CLERK_PROXY_URL", "https://clerk.example.com", True),
        ("ENVIRONMENT", "production", True),
        ("CLERK_PUBLISHABLE_KEY", "pk_test_abcdefgh12345", False),
        ("CLERK_SECRET_KEY", "sk_test_abcdefgh12345", False),
        ("CLERK_JWT_KEY", "anything-at-all", False),
        ("CLERK_UNKNOWN", "anything-at-all", False),
        ("CLERK_DOMAIN", "sk_live_abcdefgh12345", False),
        ("CLERK_DOMAIN", "whsec_abcdefgh12345", False),
        ("CLERK_PROXY_URL", "https://user:hunter2secret@app.example.com", False),
    ],
)
def test_what_is_shown_of_a_setting(name: str, value: str, *, shown: bool) -> None:
    """Only a public setting's value is shown, and not even that if it has the form of a credential."""
    found = Settings.load({name: value}).get(name)
    assert found is not None
    assert (value in found.shown) is shown
    assert "hunter2secret" not in found.shown


def test_no_text_of_the_settings_holds_a_value(tmp_path: Path) -> None:
    """The settings' own repr, and that of what holds them, shows no value: it stands in every traceback."""
    path = env_file(tmp_path, "CLERK_SECRET_KEY=sk_test_fromafile123\nSMTP_PASSWORD=hunter2fromafile")
    settings = Settings.load(
        {"CLERK_WEBHOOK": "whsec_fromtheprocess", "SMTP_PASSWORD": "hunter2process"},
        [path],
        {"CLERK_JWT_KEY": "hunter2flag"},
    )
    for text in (repr(settings), repr(Context(settings)), repr(settings.get("CLERK_SECRET_KEY")), str(settings)):
        for value in ("fromafile", "fromtheprocess", "hunter2"):
            assert value not in text
