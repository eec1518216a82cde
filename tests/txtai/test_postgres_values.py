"""Filters and fields as the database compares them."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("psycopg")

from hypothesis import given, settings
from hypothesis import strategies as st

from alwrity_checks.txtai.documents import documents
from alwrity_checks.txtai.postgres.values import comparable, content_of, document_of, filter_of, key_of
from alwrity_checks.txtai.storage import UnusableFilter

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
FIELDS = st.dictionaries(
    TEXT.map("f{}".format), st.recursive(VALUES, lambda one: st.lists(one, max_size=3)), max_size=4
)


@settings(max_examples=50)
@given(FIELDS)
def test_fields_are_kept_to_the_letter(fields: dict[str, object]) -> None:
    """In a form that both kinds of JSON columns take: without a NUL, escaped or not, where jsonb would meet one."""
    document = documents([("a", "te\0xt", fields)])[0]
    assert document_of("a", document.digest, json.loads(content_of(document))) == document
    assert "\0" not in content_of(document)
    assert "\\u0000" not in comparable(document.fields).replace("\\\\", "")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([1], "list"),
        (object(), "object"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("\ud800", "surrogate"),
    ],
)
def test_what_cannot_be_compared_is_refused(value: object, told: str) -> None:
    """With the filter's name."""
    with pytest.raises(UnusableFilter, match=told) as caught:
        filter_of({"kind": value})
    assert "'kind'" in str(caught.value)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_field_can_have_is_refused(name: str) -> None:
    """It would be an error of the database otherwise."""
    with pytest.raises(UnusableFilter):
        filter_of({name: 1})


def test_a_nul_is_compared_as_any_other_character() -> None:
    """A value with a NUL equals itself, and nothing that merely looks like it."""
    values = ["a\0b", "ab", "a\\u0000b", '"a\\u0000b"', "a\ufffdb"]
    kept = [json.loads(comparable({"f": value}))["f"] for value in values]
    assert [json.loads(filter_of({"f": value})[0])["f"] for value in values] == kept
    assert len({json.dumps(one) for one in kept}) == len(values)


def test_an_id_of_any_length_has_a_key() -> None:
    """32 bytes, whatever characters it has."""
    assert {len(key_of(one)) for one in ("", "a" * 5000, "\ud800", "\0")} == {32}
    assert key_of("a") != key_of("A")
