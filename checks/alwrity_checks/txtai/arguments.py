"""What a caller may give an index: a query, a limit, ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from alwrity_checks.errors import ConfigurationError

__all__ = ["check_limit", "check_query", "ids_of"]


def check_query(query: object, limit: int) -> None:
    """Raise ConfigurationError for what cannot be searched for."""
    if not isinstance(query, str) or not query.strip():
        raise ConfigurationError("the query is no text, or an empty one", "ask for something")
    check_limit(limit)


def check_limit(limit: int) -> None:
    """Raise ConfigurationError for what is no number of documents."""
    if type(limit) is not int or limit < 1:
        raise ConfigurationError(f"the limit {limit!r:.40} is no positive whole number", "ask for 1 or more documents")


def ids_of(ids: Iterable[Any]) -> tuple[str, ...]:
    """Return the ids, each once. Raises ConfigurationError for what no document's id can be."""
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise ConfigurationError(f"the ids are {ids!r:.80}", "give a list of ids")
    given = list(ids)
    wrong = [one for one in given if not isinstance(one, str)]
    if wrong:
        raise ConfigurationError(f"the id {wrong[0]!r:.80} is no string", "make it one: str(id)")
    unique = tuple(dict.fromkeys(given))
    try:
        "".join(unique).encode()
    except UnicodeEncodeError:
        raise ConfigurationError("an id holds a lone surrogate, which no document's does", "leave it out") from None
    return unique
