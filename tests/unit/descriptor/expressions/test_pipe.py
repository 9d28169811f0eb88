"""Compiling and evaluating values: literals, references, objects, pipes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable.descriptor.expressions.context import Context, resolver
from durable.descriptor.expressions.expression import Lookup
from durable.descriptor.expressions.functions.table import DOMAINS
from durable.descriptor.expressions.pipe import DEEPEST, compile_into, compile_value, references_of
from durable.descriptor.expressions.values import UNDEFINED
from durable.errors import DescriptorError, InternalError
from tests.unit.descriptor.expressions.calling import call

DATA = {
    "a": {"output": {"data": {"first_name": "John", "last_name": "Doe", "full_name": "John Doe",
                              "n": 5, "none": None, "list": [1, 2]}}},
    "b": {"output": {"data": {"age": 42}}},
    "$job": {"data": {"cur": 3}, "metadata": {"jid": "job-1"}},
}  # fmt: skip
CONTEXT = Context(resolver(DATA, "a"))


def value_of(raw):
    return compile_value(raw).evaluate(CONTEXT)


@pytest.mark.parametrize(
    "raw",
    [
        None, True, False, 0, 1.5, "", "text", "{", "}", "{}", "{ }",
        "a {a.output.data.n}", " {x} ",
        '{"a": 1}', "{'a'", "{{x}}", "{a\nb}", [], {}, [1, ["x"]], {"a": {"b": [1]}}, "@pipe",
        "{@string.trim} ",
    ],
)  # fmt: skip
def test_a_literal_stands_for_itself(raw):
    """Whatever is not a reference is itself, also text that merely has braces in it."""
    expression = compile_value(raw)
    assert expression.evaluate(CONTEXT) == raw
    assert expression.is_constant
    assert references_of(raw) == ()


def test_a_literal_container_is_handed_out_as_a_copy():
    """Who changes what came out of one evaluation does not change the next."""
    expression = compile_value({"a": [1]})
    first = expression.evaluate(CONTEXT)
    first["a"].append(2)
    assert expression.evaluate(CONTEXT) == {"a": [1]}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("{a.output.data.n}", 5),
        ("{a.output.data.none}", None),
        ("{a.output.data.gone}", UNDEFINED),
        ("{gone.output.data.x}", UNDEFINED),
        ("{$self.output.data.n}", 5),
        ("{$job.data.cur}", 3),
        ("{$job.metadata.jid}", "job-1"),
        ({"x": "{a.output.data.n}", "y": "{a.output.data.gone}", "z": None}, {"x": 5, "z": None}),
        ({"x": {"y": ["{a.output.data.gone}", "{a.output.data.n}"]}}, {"x": {"y": [None, 5]}}),
        ({"deep": {"gone": "{a.output.data.gone}"}}, {"deep": {}}),
    ],
)
def test_references_are_resolved(raw, expected):
    """References are replaced by values; undefined drops out of objects and is null in arrays."""
    assert value_of(raw) == expected


NAMES = [["{a.output.data.full_name}", " "]]
PART = {
    0: {"@pipe": [["{@string.split}", 0], ["{@array.get}", 0], ["{@string.charAt}"]]},
    1: {"@pipe": [["{@string.split}", 1], ["{@array.get}", 0], ["{@string.charAt}"]]},
}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # One chain: the user name of the documentation.
        ([["{a.output.data.first_name}", 0], ["{@string.charAt}", "{a.output.data.last_name}"],
          ["{@string.concat}"], ["{@string.toLowerCase}"]], "jdoe"),
        ([["{b.output.data.age}", 40], ["{@number.gte}", "Senior", "Junior"],
          ["{@conditional.ternary}"]], "Senior"),
        # Nested pipes fan out from the row above them and in to the row below.
        ([*NAMES, PART[0], PART[1], ["{@string.concat}"]], "JD"),
        ([*NAMES, PART[0]], "J"),
        # A nested pipe that begins with data takes nothing from above.
        ([["ignored"], {"@pipe": [["x"]]}, {"@pipe": [["y"]]}, ["{@string.concat}"]], "xy"),
        # Pipes within nested pipes inherit what their pipe was given.
        ([["a", "b"], {"@pipe": [{"@pipe": [["{@string.concat}", "c"]]}, ["{@string.concat}"]]},
          ["{@string.toUpperCase}"]], "AB"),
        # Two fan-outs, one after the other.
        ([[1, 2], {"@pipe": [["{@math.add}"]]}, {"@pipe": [["{@math.multiply}"]]},
          ["{@math.add}", 1],
          {"@pipe": [["{@math.add}"]]}, {"@pipe": [["{@math.subtract}"]]}, ["{@math.max}"]], 6),
        # The first row may be a function without arguments, and so may any later cell.
        ([["{@math.add}"]], 0),
        ([[5, "{@object.create}"], ["{@array.get}"]], UNDEFINED),
        ([[1], ["{@math.add}", "{@math.add}", 4], ["{@math.add}"]], 5),
        # A pipe in a cell is a value of its own.
        ([[{"@pipe": [[1, 2], ["{@math.add}"]]}, 10], ["{@math.multiply}"]], 30),
        ([[{"k": "{a.output.data.n}"}, "k"], ["{@object.get}"]], 5),
        # The result is the first value of the last row.
        ([["x", "y"]], "x"),
        ([[None]], None),
        ([["{a.output.data.gone}", "fallback"], ["{@conditional.nullish}"]], "fallback"),
    ],
)  # fmt: skip
def test_pipes(rows, expected):
    """Rows feed rows, nested pipes fan out and in, as the documentation says."""
    assert value_of({"@pipe": rows}) == expected


@pytest.mark.parametrize(
    ("raw", "where", "reason"),
    [
        ("{t1.outputs.data}", "", "is not a reference"),
        ("{$app.data.x}", "", "is not known"),
        ("{$item.x}", "", "inside @reduce only"),
        ("{@string}", "", "domain.function"),
        ("{@strng.trim}", "", "unknown domain 'strng'; did you mean 'string'"),
        ("{@string.trimm}", "", "no function 'trimm'; did you mean 'trim'"),
        ("{@zzz.q}", "", "there are array, "),
        ({"a": {"@pipe": [["x"], ["{@string.nope}"]]}}, "a.@pipe[1][0]", "no function"),
        ({"@pipe": [["x"], ["y"]]}, "@pipe[1][0]", "begins with a function"),
        ({"@pipe": [["x"], ["{a.output.data.n}"]]}, "@pipe[1][0]", "begins with a function"),
        ({"@pipe": []}, "@pipe", "list of rows"),
        ({"@pipe": "x"}, "@pipe", "list of rows"),
        ({"@pipe": [[]]}, "@pipe[0]", "at least one cell"),
        ({"@pipe": ["x"]}, "@pipe[0]", "a row is a list"),
        ({"@pipe": [{"x": 1}]}, "@pipe[0]", "a row is a list"),
        ({"@pipe": [["x"]], "y": 1}, "", "no other keys"),
        ({"@pipe": [[1], {"@pipe": [["a"]]}, {"@pipe": [["b"]]}]}, "@pipe",
         "need a row after them"),
        ({"@reduce": [["{$item}"]]}, "", "between the rows of a pipe only"),
        ({"@pipe": [{"@reduce": [["{$item}"]]}]}, "@pipe[0]", "needs a row above"),
        ({"@pipe": [[[], 0], {"@reduce": [["{$item}"]], "x": 1}]}, "@pipe[1]", "no other keys"),
        ({"@pipe": [[[], 0], {"@reduce": "x"}]}, "@pipe[1].@reduce", "list of rows"),
        ({"@pipe": [[[], 0], {"@reduce": [["{$itm}"]]}]}, "@pipe[1].@reduce[0][0]", "not known"),
        ({"@pipe": [[[], 0], {"@reduce": [["{$item}"]]}, ["{@math.add}", "{$item}"]]},
         "@pipe[2][1]", "inside @reduce only"),
        ({"@pipe": [[1], {"@pipe": [["a"]]}, {"@reduce": [["b"]]}]}, "@pipe",
         "need a row after them"),
    ],
)  # fmt: skip
def test_mistakes_are_found_when_compiled(raw, where, reason):
    """Unknown functions and broken pipes are errors at compile time that name the path."""
    with pytest.raises(DescriptorError) as caught:
        compile_value(raw)
    message = str(caught.value)
    assert reason in message
    assert message.startswith(f"{where}: " if where else "")


def test_all_mistakes_come_at_once():
    """One value with three mistakes gives three lines, each with its path."""
    raw = {"a": "{@x.y}", "b": ["{c.d}"], "c": {"@pipe": [["{@string.no}"], ["z"]]}}
    with pytest.raises(DescriptorError) as caught:
        compile_value(raw, ("maps",))
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "maps.a", "maps.b[0]", "maps.c.@pipe[0][0]", "maps.c.@pipe[1][0]",
    ]  # fmt: skip


SET = [{"@pipe": [["{$output}"]]}, {"@pipe": [["{$item}"]]}, {"@pipe": [["{$index}"]]},
       ["{@object.set}"]]  # fmt: skip
SUM = [["{$output}", "{$item}"], ["{@math.add}"]]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # The documentation's example: an object of positions.
        ([[["a", "b", "c"], {}], {"@reduce": SET}], {"a": 0, "b": 1, "c": 2}),
        ([["{a.output.data.list}", 10], {"@reduce": SUM}], 13),
        # Objects too; the key is the name, the index counts.
        ([[{"x": 1, "y": 2}, 0], {"@reduce": SUM}], 3),
        ([[{"x": 1, "y": 2}, ""],
          {"@reduce": [["{$output}", "{$key}", "{$index}"], ["{@string.concat}"]]}], "x0y1"),
        ([[["p", "q"], ""],
          {"@reduce": [["{$output}", "{$key}", "{$item}"], ["{@string.concat}"]]}], "0p1q"),
        # The collection is at hand, and paths lead into items.
        ([[[{"n": 2}, {"n": 3}], 0],
          {"@reduce": [["{$input.length}", "{$item.n}"], ["{@math.multiply}", "{$output}"],
                       ["{@math.add}"]]}], 10),
        # None, one, and no first output.
        ([[[], "first"], {"@reduce": SUM}], "first"),
        ([[[]], {"@reduce": SUM}], UNDEFINED),
        ([[["only"], 0], {"@reduce": [["{$item}"]]}], "only"),
        # The result goes on to the next row, beside that of a nested pipe.
        ([[[1, 2], 0], {"@reduce": SUM}, ["{@math.multiply}", 5], ["{@math.add}"]], 8),
        ([[[1, 2], 0], {"@reduce": SUM}, {"@pipe": [["x"]]}, ["{@string.concat}"]], "3x"),
        # A reduction within a reduction has its own variables.
        ([[[[1, 2], [3]], []],
          {"@reduce": [["{$item}", "{$output}"],
                       {"@reduce": [["{$output}", "{$item}"], ["{@array.push}"]]}]}], [1, 2, 3]),
        # Within a nested pipe it takes the values from above.
        ([[[1, 2], 0], {"@pipe": [{"@reduce": SUM}]}, ["{@math.add}", 1], ["{@math.add}"]], 4),
        # A function without arguments above it is a collection too.
        ([["{@symbol.array}", 7], {"@reduce": SUM}], 7),
    ],
)  # fmt: skip
def test_reductions(rows, expected):
    """`@reduce` runs its rows for each item and hands the output on, as the documentation says."""
    assert value_of({"@pipe": rows}) == expected


@pytest.mark.parametrize("collection", [None, 5, "text", True, "{a.output.data.gone}"])
def test_a_reduction_of_no_collection_is_refused(collection):
    """What cannot be gone through is an error that names the place, not an empty result."""
    with pytest.raises(DescriptorError, match=r"^x\.@pipe\[1\]: it goes through an array or"):
        compile_value({"@pipe": [[collection, 0], {"@reduce": SUM}]}, ("x",)).evaluate(CONTEXT)


def test_loop_variables_are_no_references():
    """What an activity needs from others does not include the variables of a reduction."""
    raw = {"@pipe": [["{a.output.data.list}", 0], {"@reduce": [["{$item}", "{$job.data.cur}"]]}]}
    seen = []
    compile_into(raw, (), lambda *_: None, lambda _at, found: seen.append(str(found)))
    assert seen == ["{a.output.data.list}", "{$job.data.cur}"]
    assert [str(found) for found in references_of(raw)] == seen


def test_a_failing_function_names_its_place():
    """At run time the error says where in the document the function stands."""
    raw = {"x": {"@pipe": [["{a.output.data.gone}", " "], ["{@string.split}"]]}}
    with pytest.raises(
        DescriptorError, match=r"^job\.maps\.x\.@pipe\[1\]\[0\]: \{@string\.split\}"
    ):
        compile_value(raw, ("job", "maps")).evaluate(CONTEXT)


def test_references_are_collected_once_in_order():
    """Validation sees each reference, in pipes, nested pipes and templates too, and where it is."""
    raw = {
        "x": "{a.output.data.n}",
        "y": {"@pipe": [["{b.output.data.age}"], {"@pipe": [["{@math.add}", "{$job.data.cur}"]]},
                        ["{@math.add}", "{a.output.data.n}"]]},
    }  # fmt: skip
    assert [str(r) for r in references_of(raw)] == [
        "{a.output.data.n}", "{b.output.data.age}", "{$job.data.cur}",
    ]  # fmt: skip
    seen = []
    compile_into(raw, (), lambda *_: None, lambda at, reference: seen.append((at, str(reference))))
    assert seen[-1] == (("y", "@pipe", 2, 1), "{a.output.data.n}")


def test_a_sole_reference_compiles_to_a_lookup():
    """The plan can tell a plain reference from a computation."""
    assert isinstance(compile_value("{a.output.data.n}"), Lookup)


def test_nesting_has_a_limit():
    """A value that is nested absurdly deep is refused, not a crash of the interpreter."""
    deep: object = "x"
    for _ in range(DEEPEST + 2):
        deep = [deep]
    pipe: object = "x"
    for _ in range(5000):
        pipe = {"@pipe": [[pipe]]}
    for raw in (deep, pipe):
        with pytest.raises(DescriptorError, match="nested deeper"):
            compile_value(raw)


def test_dice_and_time_come_from_the_context():
    """Random numbers and time are handed in; without them asking is a bug of the caller."""
    assert call("math.random", []) == 0.25
    assert call("date.now", []) == 1_700_000_000_123
    for name in ("math.random", "date.now", "date.yyyymmdd", "symbol.date"):
        with pytest.raises(InternalError):
            value_of(f"{{@{name}}}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)
FUNCTIONS = st.sampled_from([f"{d}.{name}" for d, table in DOMAINS.items() for name in table])


@settings(max_examples=200)
@given(FUNCTIONS, st.lists(JSON | st.just(UNDEFINED), max_size=4))
def test_no_function_fails_in_an_unforeseen_way(name, args):
    """On any arguments a function answers with a value that JSON can hold, or refuses."""
    before = repr(args)
    try:
        result = call(name, args)
    except DescriptorError:
        result = None
    assert repr(args) == before
    if result is not UNDEFINED:
        json.dumps(result).encode()


@given(JSON)
def test_compiling_any_literal_gives_it_back_or_refuses(raw):
    """Whatever JSON stands in a descriptor either evaluates without an error or is refused."""
    try:
        expression = compile_value(raw)
    except DescriptorError:
        return
    expression.evaluate(Context(resolver({}), random=lambda: 0.5))
