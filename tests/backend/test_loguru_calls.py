"""Calls of a loguru logger that are written for the standard library's."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.backend.loguru_calls import across, facts, traces, wants
from alwrity_checks.source import SourceFile

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGURU = "from loguru import logger\n"


def found(files: Mapping[str, str]) -> list[tuple[str, str, int]]:
    """Return code, path and line of what is wrong in `files`."""
    read = [SourceFile(path, ast.parse(text), text, live=True) for path, text in files.items() if wants(text.encode())]
    assert not [trace for file in read for trace in traces(file)]
    told = [fact for file in read if (fact := facts(file)) is not None]
    return sorted((trace.code, trace.path, trace.line) for trace in across(told))


@pytest.mark.parametrize(
    ("call", "codes"),
    [
        ("logger.error('user %s failed', user)", ["SRC020"]),
        ("logger.log('INFO', 'took %.2f s', spent)", ["SRC020"]),
        ("logger.bind(a=1).opt(depth=1).info('%(name)s', {'name': 1})", ["SRC020"]),
        ("logger.warning('a' + ' %d', 1)", ["SRC020"]),
        ("logger.error(f'{user} %s', error)", ["SRC020"]),
        ("logger.error('failed', exc_info=True)", ["SRC021"]),
        ("logger.error('failed: %s', error, exc_info=error)", ["SRC020", "SRC021"]),
        ("logger.error('user {} failed', user)", []),
        ("logger.error('user %s failed' % user)", []),
        ("logger.info('100 % done', 1)", []),
        ("logger.info('50%% done', 1)", []),
        ("logger.info('%s')", []),
        ("logger.error('failed', exc_info=False)", []),
        ("logger.opt(exception=True).error('failed')", []),
        ("other.error('user %s', user)", []),
    ],
)
def test_a_call_is_wrong_on_loguru(call: str, codes: list[str]) -> None:
    """The values that a printf message was given, and the traceback that was asked for, are not printed."""
    assert [code for code, _, _ in found({"a.py": f"{LOGURU}{call}\n"})] == codes


@pytest.mark.parametrize("call", ["logger.error('%s', 1)", "logger.error('a', exc_info=True)"])
def test_the_same_call_is_right_on_the_standard_librarys(call: str) -> None:
    """The logger decides, not the name."""
    for bound in ("import logging\nlogger = logging.getLogger(__name__)\n", "from structlog import logger\n"):
        assert found({"a.py": bound + call + "\n"}) == []


def test_a_logger_is_followed_to_where_it_comes_from() -> None:
    """Over a function of another module, a name that is handed on, and a relative import, as ALwrity's are."""
    assert found(
        {
            "utils/log.py": f"{LOGURU}def get_service_logger(name):\n    return logger.bind(service=name)\n",
            "utils/__init__.py": "from .log import get_service_logger as make_logger\n",
            "services/a.py": "from utils import make_logger\nlogger = make_logger('a')\nlogger.info('%s', 1)\n",
            "services/b.py": "from .a import logger\n\n\ndef f():\n    logger.info('%s', 1)\n",
            "services/c.py": "from utils import other\nother('c').info('%s', 1)\n",
        }
    ) == [("SRC020", "services/a.py", 3), ("SRC020", "services/b.py", 5)]


def test_scopes_and_fallbacks_are_kept_apart() -> None:
    """A parameter and a local name hide the module's logger; what stands in `except ImportError` does not."""
    text = """
import logging
try:
    from loguru import logger
except ImportError:
    logger = logging.getLogger()
def f(logger):
    logger.info('%s', 1)
def g():
    logger = logging.getLogger()
    logger.info('%s', 1)
class A:
    def __init__(self):
        self.logger = logger.bind(a=1)
        self.other = logging.getLogger()
    def h(self):
        self.logger.info('%s', 1)
        self.other.info('%s', 1)
logger.info('%s', 1)
"""
    assert found({"a.py": text}) == [("SRC020", "a.py", 17), ("SRC020", "a.py", 19)]


def test_a_circle_of_imports_ends() -> None:
    """Two modules that hand the same name to each other give no logger."""
    files = {"a.py": "from b import logger\nlogger.info('%s', 1)\n", "b.py": "from a import logger\n"}
    assert found(files) == []


def test_the_key_holds_no_line() -> None:
    """Moved down, a call is the same one; in another function it is not."""
    keys = []
    for text in ("logger.info('%s', 1)\n", "\n\nlogger.info( '%s',1 )\n", "def f():\n    logger.info('%s', 1)\n"):
        file = SourceFile("a.py", ast.parse(LOGURU + text), LOGURU + text, live=True)
        keys += [trace.snippet_key for trace in across([facts(file)])]
    assert keys[0] == keys[1] != keys[2]
