"""The pages of the reference that are made from the code are what the code gives today."""

from __future__ import annotations

import inspect
import re

import pytest

from durable.descriptor.document import load
from durable.descriptor.model import KINDS
from durable.descriptor.parts import Part
from durable.hotmesh.mesh import HotMesh
from tests.unit.reference.class_page import GROUPS, sections, vars_of
from tests.unit.reference.language_examples import EXAMPLES
from tests.unit.reference.language_page import classes, fields_of, meanings
from tests.unit.reference.pages import PAGES, REFERENCE


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    """The page in the documentation is what would be written now."""
    assert (REFERENCE / name).read_text("utf-8") == PAGES[name](), (
        "run: python -m tests.unit.reference"
    )


@pytest.mark.parametrize("part", classes(), ids=lambda part: part.__name__)
def test_every_field_says_what_it_means(part: type[Part]) -> None:
    """Below each field of the language stands a sentence, and the page shows it."""
    names = [name for name, _, _ in fields_of(part)]
    said = meanings(part)
    assert not [name for name in names if not said.get(name)]
    page = PAGES["language.md"]()
    assert all(said[name] in page for name in names)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_kind_can_be_deployed(kind: str) -> None:
    """It holds together, and has an activity of that kind."""
    app = load(EXAMPLES[kind])
    kinds = {type(part) for graph in app.graphs for part in graph.activities.values()}
    assert KINDS[kind] in kinds


def test_every_method_has_its_place() -> None:
    """The page of the class has each public method once, and no other."""
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(vars_of(HotMesh))


@pytest.mark.parametrize("name", vars_of(HotMesh))
def test_a_method_tells_all(name: str) -> None:
    """Its docstring names every argument, what may be raised, and shows it in use."""
    method = vars_of(HotMesh)[name]
    said = sections(method)
    told = said[""] + said.get("Args", "")
    arguments = [a for a in inspect.signature(method).parameters if a not in {"self", "cls"}]
    assert [a for a in arguments if not re.search(rf"\b{a}\b", told)] == []
    assert said["Example"]


def given(part: Part) -> set[tuple[type[Part], str]]:
    """The fields that a document gives, with the class to which each belongs."""
    found = {(type(part), name) for name in part.model_fields_set}
    for name in part.model_fields_set:
        values = [getattr(part, name)]
        for value in values:
            if isinstance(value, Part):
                found |= given(value)
            elif isinstance(value, (list, tuple)):
                values.extend(value)
            elif isinstance(value, dict):
                values.extend(value.values())
    return found


def test_the_examples_show_every_field() -> None:
    """Each field is in one of the examples, but for those that describe or do nothing."""
    shown = set().union(*(given(load(example)) for example in EXAMPLES.values()))
    names = {(base, name) for cls, name in shown for base in cls.__mro__}
    fields = {(cls, name) for cls in classes() for name, _, _ in fields_of(cls)}
    missing = {(cls.__name__, name) for cls, name in fields - names}
    described = {
        ("Trigger", "input"),
        ("Hook", "input"),
        ("Signal", "input"),
        ("Interrupt", "input"),
    }
    ineffective = {("Transition", "code"), ("JobPort", "by_code")}
    assert missing == {*described, *ineffective}
