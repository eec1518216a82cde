"""Who uses what of a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alwrity_checks.adoption.callers import Caller, callers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MODULE = "services.intelligence.service"


class Texts:
    """Sources that are in memory."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def text(self, path: str) -> str | None:
        """Return a file's text."""
        return self._texts.get(path)

    def python_files(self) -> Iterator[str]:
        """Yield the paths, sorted."""
        return iter(sorted(self._texts))


@pytest.mark.parametrize(
    ("path", "text", "used"),
    [
        ("api/a.py", "from services.intelligence.service import Service as S, other\n", {"Service", "other"}),
        ("api/a.py", "def f():\n    from services.intelligence.service import *\n", {"*"}),
        ("api/a.py", "import services.intelligence.service\nservices.intelligence.service.Service()\n", {"Service"}),
        ("api/a.py", "import services.intelligence.service as s\ns.Service.x = s.other\n", {"Service", "other"}),
        ("api/a.py", "from services.intelligence import service\nservice.Service()\n", {"Service"}),
        ("api/a.py", "from backend.services.intelligence.service import Service\n", {"Service"}),
        ("services/intelligence/b.py", "from .service import Service\n", {"Service"}),
        ("services/intelligence/b.py", "from . import service as s\ns.Service()\n", {"Service"}),
        ("services/intelligence/deep/b.py", "from ..service import Service\n", {"Service"}),
        ("services/__init__.py", "from .intelligence.service import Service\n", {"Service"}),
        # Newer syntax, or none at all: the imports are read from the text.
        ("api/a.py", "from services.intelligence.service import (\n    Service,  # the\n    other as o,\n)\n?\n", None),
        ("services/intelligence/b.py", "from .service import Service, other; x\n<<<<<<< HEAD\n", None),
        ("services/intelligence/service.py", "from services.intelligence.service import Service\n", set()),
        ("api/a.py", "from services.intelligence.services import Service\nservice.Service()\n", set()),
    ],
)
def test_who_uses_what(path: str, text: str, used: set[str] | None) -> None:
    """Every spelling of an import is followed, and nothing else is taken for one."""
    found = callers(Texts({path: text}), MODULE)
    assert {one.name for one in found} == ({"Service", "other"} if used is None else used)
    assert all(one.path == path for one in found)


def test_only_what_is_not_offered_is_told() -> None:
    """With the line of the import that would break, sorted."""
    sources = Texts(
        {
            "z.py": "from services.intelligence.service import Service\n",
            "a.py": "import os\nfrom services.intelligence.service import Service, _secret\n",
        }
    )
    assert callers(sources, MODULE, {"Service"}) == (Caller("a.py", 2, "_secret"),)
