"""load, dump and content_hash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from durable.descriptor.document import content_hash, dump, load, plain
from durable.descriptor.layout import WIDTH, to_yaml
from durable.descriptor.model import App, Hook, Worker
from durable.descriptor.yaml_reader import read
from durable.errors import DescriptorError
from tests.unit.descriptor.sources import GENERATED, HANDWRITTEN, SHARED, graph


@pytest.mark.parametrize("source", [GENERATED, HANDWRITTEN, SHARED])
def test_what_is_dumped_is_loaded_again_the_same(source):
    """load(dump(app)) is the app, in the same order, at most 120 columns wide, and stable."""
    app = load(source)
    text = dump(app)
    again = load(text)
    assert again == app
    assert dump(again) == text
    assert max(map(len, text.splitlines())) <= WIDTH
    for before, after in zip(app.graphs, again.graphs, strict=True):
        assert list(before.activities) == list(after.activities)
        assert list(before.transitions) == list(after.transitions)


@pytest.mark.parametrize("source", [GENERATED, HANDWRITTEN, SHARED])
def test_other_yaml_readers_read_the_dump_alike(source):
    """A reader of YAML 1.1 such as PyYAML sees the same data in the dump."""
    app = load(source)
    assert yaml.safe_load(dump(app)) == {"app": plain(app)}


def test_the_dump_of_a_generated_descriptor_is_for_people():
    """Short entries stand on one line, the frame in blocks: the text of the design document."""
    lines = dump(load(GENERATED)).splitlines()
    for line in (
        "      version: 7c1d09e2",
        "        .start: {type: trigger}",
        "        fulfil: {type: worker, topic: fulfil, reentrant: true}",
        "        refund: {type: worker, topic: refund}",
        "        .timer: {type: hook, sleep: '{fulfil.output.data.seconds}'}",
        "        .signal: {type: hook, hook: {topic: fulfil.signal}}",
        "        .start: [{to: fulfil}]",
    ):
        assert line in lines


def test_what_is_shared_is_laid_out_in_blocks():
    """Its activities and transitions stand one to a line, as those of graphs do."""
    lines = dump(load(SHARED)).splitlines()
    for line in ("  shared:", "    activities:", "      refund: {type: worker, topic: refund}"):
        assert line in lines
    assert "      - {to: refund, conditions: {code: 202, match: [{expected: refund," in dump(
        load(SHARED)
    )


def test_a_document_is_text_data_or_a_path(tmp_path):
    """The same app comes from YAML, JSON, plain data, a Path and a path as text."""
    app = load(GENERATED)
    data = yaml.safe_load(GENERATED)
    file = tmp_path / "orders.yaml"
    file.write_text(GENERATED)
    for source in (data, json.dumps(data), file, str(file), f"\n\n{GENERATED}"):
        assert load(source) == app


def test_a_missing_file_is_named(tmp_path):
    """A path that leads nowhere is an error that shows it."""
    with pytest.raises(DescriptorError, match=r"gone\.yaml' cannot be read: No such file"):
        load(tmp_path / "gone.yaml")
    with pytest.raises(DescriptorError, match=r"gone\.yaml' cannot be read"):
        load("gone.yaml")


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    """Bytes that are no UTF-8 are an error about the file."""
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"app: \xff")
    with pytest.raises(DescriptorError, match="is not UTF-8"):
        load(file)


@pytest.mark.parametrize("source", ["", "   ", "# nothing", "[]", "app: 5", "{}", "null"])
def test_what_is_no_app_is_refused(source):
    """An empty document, or one that is something else, is a DescriptorError."""
    with pytest.raises(DescriptorError):
        load(source)


@pytest.mark.parametrize("source", [{"app": {1: 2}}, {"app": float("nan")}, {"app": object()}, {}])
def test_data_that_is_no_app_is_refused(source):
    """Plain data is checked like text."""
    with pytest.raises(DescriptorError):
        load(source)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {"a": {1: 2}}, {"a": {1, 2}}, ("a",), b"x", object()]
)
def test_data_must_be_json(value):
    """What JSON cannot hold is refused inside maps too, at its place."""
    data = yaml.safe_load(graph("t1: {type: trigger, job: {maps: {x: 1}}}"))
    data["app"]["graphs"][0]["activities"]["t1"]["job"]["maps"]["x"] = value
    with pytest.raises(DescriptorError, match=r"t1\.job\.maps\.x"):
        load(data)


def test_loading_does_not_change_the_data():
    """The caller's data stay as they were, also where the ancestor's spellings are rewritten."""
    data = yaml.safe_load(HANDWRITTEN.replace("500: {schema", "'500': {schema"))
    before = json.dumps(data)
    load(data)
    assert json.dumps(data) == before


def test_the_ancestors_spellings_are_understood():
    """`activity` is a hook, a bare schema under `hook` is its schema, a code may be text."""
    first = load(HANDWRITTEN).graphs[0]
    fix, h1, a1 = (first.activities[aid] for aid in ("fix", "h1", "a1"))
    assert isinstance(fix, Hook)
    assert fix.type == "hook"
    assert isinstance(h1, Hook)
    assert h1.hook is not None
    assert h1.hook.schema_ == {"type": "object", "properties": {"approved": {"type": "boolean"}}}
    assert isinstance(a1, Worker)
    assert a1.output is not None
    assert a1.output.by_code["500"].schema_ == {"type": "object"}
    assert [t.conditions.code for t in first.transitions["a1"][1:] if t.conditions] == [
        (422,), (500, 503), (202,),
    ]  # fmt: skip


def test_retry_becomes_a_policy():
    """The policy in force has the document's values and `RetryPolicy`'s defaults."""
    a1 = load(HANDWRITTEN).graphs[0].activities["a1"]
    assert isinstance(a1, Worker)
    assert a1.retry is not None
    policy = a1.retry.policy()
    assert (policy.maximum_attempts, policy.initial_interval, policy.non_retryable) == (
        2, 1, ("CardDeclined",),
    )  # fmt: skip
    assert (policy.backoff_coefficient, policy.maximum_interval) == (10, "120s")


def hash_of(source: str) -> str:
    return content_hash(load(source))


def test_a_hash_is_eight_hex_digits_of_the_content():
    """Versions, layout, comments, spelt-out defaults and the order of activities do not count."""
    base = hash_of(
        graph("t1: {type: trigger}\nw: {type: worker, topic: a}", "transitions: {t1: [{to: w}]}")
    )
    same = hash_of(
        graph("w: {topic: a, type: worker, reentrant: false}\nt1: {type: trigger}",
              "version: abc\ntransitions:\n  t1:\n  - to: w  # comment\n").replace("version: 1",
              "version: 2")
    )  # fmt: skip
    assert base == same
    assert len(base) == 8
    assert int(base, 16) >= 0


def test_the_hash_of_a_hand_written_document_stays():
    """Releases compare it with what is stored: another hash would refuse to deploy it again."""
    assert hash_of(HANDWRITTEN) == "78a336b6"


@pytest.mark.parametrize(
    "change",
    [("topic: a", "topic: b"), ("subscribes: t", "subscribes: u"),
    ("{to: w}", "{to: w, conditions: {code: 201}}"),
     ("id: x", "id: y")],
)  # fmt: skip
def test_a_hash_changes_with_the_content(change):
    """Whatever the engine would do differently gives another hash of the app."""
    source = graph(
        "t1: {type: trigger}\nw: {type: worker, topic: a}", "transitions: {t1: [{to: w}]}"
    )
    assert hash_of(source) != hash_of(source.replace(*change))


def test_equal_numbers_hash_equally():
    """1 and 1.0 are equal, so apps that differ in nothing else are one content."""
    one, other = (graph(f"t1: {{type: trigger, job: {{maps: {{x: {n}}}}}}}") for n in ("1", "1.0"))
    assert load(one) == load(other)
    assert hash_of(one) == hash_of(other)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
    | st.sampled_from(["yes", "no", "1:30", "0o7", "1e3", "~", "null", "2026-01-01", "<<", "=", "-",
                       "- a", "a: b", "a #b", "#", "&a", "*a", "!x", "%", "@", "`", "'",
                       '"', "|", ">",
                       "a\n", " a", "a ", "\t", "", "0x1F", "1_000", ".5", "+1", "{}", "[a]", "…",
                       "---"]),
    lambda inner: st.lists(inner, max_size=5)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), VALUES
    )
)
def test_any_data_survives_the_layout(data):
    """Whatever JSON holds is laid out as YAML that reads back the same, here and by PyYAML."""
    text = to_yaml({"root": data})
    assert read(text)[0] == {"root": data}
    assert yaml.safe_load(text) == {"root": data}
    assert all(len(line) <= WIDTH + 250 for line in text.splitlines())


def test_long_text_is_folded():
    """A description longer than the width is spread over lines, blanks and escapes kept."""
    description = "word  " * 80 + 'quote " and \\ and\nnewline' + " " * 130
    app = load({"app": {"id": "x", "version": "1", "graphs": [
        {"subscribes": "t", "input": {"schema": {"description": description}},
         "activities": {"t1": {"type": "trigger"}}}]}})  # fmt: skip
    text = dump(app)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert load(text) == app
    assert yaml.safe_load(text) == {"app": plain(app)}


def test_models_are_frozen_and_closed():
    """The document cannot be changed, nor built with fields that do not exist."""
    app = load(GENERATED)
    with pytest.raises(ValueError, match="frozen"):
        app.id = "other"
    with pytest.raises(ValueError, match="Extra"):
        App.model_validate({**plain(app), "more": 1})


def test_includes_come_from_files(tmp_path):
    """`$ref` brings in other files, with pointers and from below the first file's directory."""
    (tmp_path / "graphs").mkdir()
    (tmp_path / "app.yaml").write_text(
        "app: {id: x, version: 1, graphs: [{$ref: ./graphs/g.yaml}]}"
    )
    (tmp_path / "graphs" / "g.yaml").write_text(
        "subscribes: t\ninput: {schema: {$ref: '../parts.yaml#/schemas/in'}}\n"
        "activities: {t1: {$ref: '../parts.yaml#/list/1'}}\n"
    )
    (tmp_path / "parts.yaml").write_text(
        "schemas: {in: {type: object, properties: {a: {$ref: '#/$defs/A'}}}}\n"
        "list: [0, {type: trigger}]\n"
    )
    first = load(tmp_path / "app.yaml").graphs[0]
    assert first.input is not None
    assert first.input.schema_ == {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}
    assert first.activities["t1"].type == "trigger"


@pytest.mark.parametrize(
    ("ref", "reason"),
    [
        ("'./gone.yaml'", "app.yaml, line 4: .*gone.yaml' cannot be read"),
        ("'../outside.yaml'", "leads out"),
        ("/etc/hostname", "leads out"),
        ("'https://example.org/x.yaml'", "leads out"),
        ("'./app.yaml'", "back to itself"),
        ("'./part.yaml#/nope'", "no 'nope'"),
        ("'./part.yaml', more: 1", "no other keys"),
    ],
)
def test_bad_includes_are_refused(tmp_path, ref, reason):
    """What is missing, outside, endless or ambiguous is an error with file and line."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.yaml").write_text("{}")
    (root / "part.yaml").write_text("{a: 1}")
    (root / "app.yaml").write_text(f"app:\n  id: x\n  version: 1\n  graphs: [{{$ref: {ref}}}]\n")
    with pytest.raises(DescriptorError, match=reason):
        load(Path(root / "app.yaml"))


def test_includes_need_a_path():
    """In text there is no directory, so a `$ref` to a file is an unknown field, with its line."""
    with pytest.raises(DescriptorError, match=r"line 4, app.graphs\[0\].\$ref: unknown field"):
        load("app:\n  id: x\n  version: 1\n  graphs: [{$ref: ./g.yaml}]\n")


def test_a_reference_within_a_text_is_warned_of():
    """It is taken for text: each place is told, and nothing that only looks like one."""
    warned: list[str] = []
    load(
        """\
app:
  id: x
  version: 1
  graphs:
    - subscribes: order
      activities:
        t1:
          type: trigger
          title: begins with {t1.output.data.id}
          stats: {id: '{$self.input.data.id}-r'}
        w1:
          type: worker
          topic: work
          input:
            schema: {description: 'such as {t1.output.data.id}-1'}
            maps:
              alone: '{t1.output.data.id}'
              other: 'a {word}, {nobody.output.data.id} and {$job}'
              joined:
                '@pipe': [['no {$job.metadata.jid}', '{t1.output.data.id}'], ['{@string.concat}']]
      transitions: {t1: [{to: w1}]}
""",
        warned.append,
    )
    assert len(warned) == 2
    assert (
        "line 10, app.graphs[0].activities.t1.stats.id: {$self.input.data.id} is read" in warned[0]
    )
    assert "{$job.metadata.jid} is read as text" in warned[1]


def test_what_is_no_document_is_refused_in_words() -> None:
    """Halves of surrogates, paths that no file has, and files without end are refused at once."""
    with pytest.raises(DescriptorError, match="line 2: half of a surrogate pair"):
        load("app:\n  id: 'a\ud800'")
    with pytest.raises(DescriptorError, match="cannot be read: no path"):
        load(Path("a\0b"))
    with pytest.raises(DescriptorError, match=r"longer than|not UTF-8"):
        load(Path("/dev/zero"))
