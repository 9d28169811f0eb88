"""The mapping language: what a descriptor may write where a value is wanted.

    literal                      any JSON value, also a text with braces that is not a reference
    '{t1.output.data.x}'         a reference, also {t1.hook.data.x}, {$self.…}, {$job.data.x}
    '{@math.random}'             a function without arguments
    {'@pipe': [[…], […]]}        rows: the values of one are the arguments of the next
    {a: …, b: […]}               an object or array of the same

A value is compiled once (`pipe.compile_value`) and evaluated often. Functions mean what they mean
in JavaScript: see `values` for its conversions.

    paths.py            references, and the walk along a path
    context.py          what an evaluation may ask of its surroundings: data, time, rng
    pipe.py             compile_value: raw value -> Expression
    expression.py       the kinds of expressions
    rows.py             the rows of a pipe, compiled
    values.py           undefined, truth, conversions to number and text
    comparison.py       equality and order
    collation.py        the order of texts for readers
    numerals.py         numbers as text, and text as numbers
    units.py            text measured in UTF-16 code units, as JavaScript does
    regex_syntax.py     JavaScript's patterns, read into a tree
    regexes.py          where a pattern first matches, in linear time
    calendar_fields.py  instants and calendar fields
    dates.py            JavaScript's Date among JSON values, and how it is written
    date_parser.py      text read as Date.parse reads it
    locale_text.py      dates in American English
    functions/          the functions, one file per domain, and the table of domains
"""
