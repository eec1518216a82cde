"""What may enter an index, and what is refused at the door."""

from __future__ import annotations

import datetime as dt
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.txtai.documents import (
    LARGEST_DOCUMENT,
    RESERVED,
    Document,
    UnusableDocument,
    digest_of,
    documents,
    fields_of,
)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
NAMES = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda name: name not in RESERVED)
CLEAN = st.text(st.characters(exclude_categories=["Cs"]))


def refused(item: Any) -> UnusableDocument:  # noqa: ANN401 - whatever a caller may send
    """Return the refusal of a call with one good document before `item`."""
    with pytest.raises(UnusableDocument) as caught:
        documents([("good", "text"), item])
    assert caught.value.position == 1
    assert caught.value.remedy
    return caught.value


def test_three_forms_of_one_document() -> None:
    """A mapping, ALwrity's tuple and a document are the same document."""
    (mapping,) = documents([{"id": "a", "text": "words", "kind": "task", "tags2": ["x"]}])
    (triple,) = documents([("a", "words", {"tags2": ("x",), "kind": "task"})])
    assert mapping == triple
    assert documents([mapping]) == (mapping,)
    assert documents([("a", "words"), ("b", "words", None)])[1].fields == {}


def test_lost_work_is_not_hidden_in_a_digest() -> None:
    """Text and fields make the digest, and the id does not: equal content needs no new vector."""
    one, two, three, four = documents(
        [("a", "x", {"k": 1}), ("b", "x", {"k": 1}), ("c", "x", {"k": True}), ("d", "x ", {"k": 1})]
    )
    assert one.digest == two.digest == digest_of("x", {"k": 1})
    assert len({one.digest, three.digest, four.digest}) == 3


@pytest.mark.parametrize(
    ("item", "word"),
    [
        ((1, "text"), "id of type int"),
        (("", "text"), "empty id"),
        (("a\0b", "text"), "NUL"),
        (("x" * 1025, "text"), "too long"),
        (("a", ""), "empty text"),
        (("a", " \n\t"), "empty text"),
        (("a", None), "text of type NoneType"),
        (("a", "text", [1]), "fields of type list"),
        (("a", "text", {"n": float("nan")}), "JSON cannot hold"),
        (("a", "text", {"n": [{"deep": float("inf")}]}), "JSON cannot hold"),
        (("a", "text", {"when": dt.datetime.now(dt.UTC)}), "JSON cannot hold"),
        (("a", "text", {"what": {1, 2}}), "JSON cannot hold"),
        (("a", "text", {1: "x"}), "name is a int"),
        (("a", "text", {"deep": [{None: "x"}]}), "name is a NoneType"),
        (("a", "text", {"score": 1}), "reserved name 'score'"),
        (("a", "text", {"deep": json.loads("[" * 900 + "]" * 900)}), "more than 64 levels"),
        (("a", "half \ud800"), "surrogate"),
        (("\udfff", "text"), "surrogate"),
        (("a", "text", {"x": "\ud800"}), "surrogate"),
        ({"id": "a"}, "has no text"),
        ({"text": "a"}, "has no id"),
        ({"id": "a", "text": "t", "indexid": 3}, "reserved name 'indexid'"),
        ("text alone", "is a str"),
        (("a", "text", {}, "more"), "is a tuple"),
        (("a", "x" * LARGEST_DOCUMENT), "more than 10,000,000"),
        (("a", "text", {"blob": "é" * (LARGEST_DOCUMENT // 2)}), "more than 10,000,000"),
    ],
)
def test_refusals(item: object, word: str) -> None:
    """Whatever txtai would choke on in the middle of a write is named, with its position, before anything is kept."""
    assert word in str(refused(item))


def test_a_circle_is_refused() -> None:
    """Fields that contain themselves end in a refusal, and not in an endless walk."""
    circle: dict[str, Any] = {}
    circle["again"] = [circle]
    assert "contains itself" in str(refused(("a", "text", circle)))


def test_nesting_is_refused_before_anything_gives_up() -> None:
    """A depth that JSON, or SQLite, could not follow is a refusal like another."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert "more than 64 levels" in str(refused(("a", "text", {"deep": deep})))


def test_one_id_twice_in_one_call() -> None:
    """The same document twice is one; two versions under one id leave it open which is meant."""
    assert len(documents([("a", "x"), ("a", "x", {})])) == 1
    with pytest.raises(UnusableDocument, match="earlier document in this call") as caught:
        documents([("a", "x"), ("b", "x"), ("a", "y")])
    assert (caught.value.position, caught.value.id) == (2, "a")


def test_refusals_travel_between_processes() -> None:
    """A refusal keeps its facts when it is pickled."""
    copy = pickle.loads(pickle.dumps(refused(("a", ""))))  # noqa: S301 - our own bytes
    assert (copy.position, copy.id, copy.remedy) == (1, "a", refused(("a", "")).remedy)


def test_later_changes_of_the_caller_do_not_reach_in() -> None:
    """What was judged is what is kept."""
    fields = {"list": [1]}
    (document,) = documents([("a", "x", fields)])
    fields["list"].append(float("nan"))  # type: ignore[arg-type] # what the door would refuse
    assert document.fields == {"list": [1]}


@given(CLEAN.filter(str.strip), st.dictionaries(NAMES, st.recursive(SCALARS, st.lists, max_leaves=5), max_size=4))
def test_what_is_accepted_can_be_stored(text: str, fields: dict[str, Any]) -> None:
    """Every accepted document survives JSON and UTF-8, with the digest it had."""
    (document,) = documents([{"id": "a", "text": text, **fields}])
    stored = json.dumps({"id": "a", "text": text, **document.fields}, allow_nan=False).encode()
    fields_back = fields_of(stored.decode())
    assert document == Document("a", text, fields_back, digest_of(text, fields_back))
