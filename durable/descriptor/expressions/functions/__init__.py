"""The functions of pipes: a file per domain, each with its own table `FUNCTIONS`; operators in one.

A new domain is a new file and a row in `table.py`.

    table.py        domain name -> its functions
    arguments.py    what a function is given, and how it refuses
    conditional.py  ternary, equality, order, nullish
    operators.py    and, or; 32-bit operators; not, positive, negative, bitwise_not
    symbol.py       null, undefined, NaN and other values that are hard to write
    json_.py        JSON as text
    date.py         JavaScript's Date
    cron.py         schedules
    math_.py        arithmetic and Math
    string_.py      text
    object_.py      objects
    object_integrity.py objects that are frozen, sealed or not extensible
    array_.py       arrays
    number_.py      parsing and formatting of numbers, and tests on them
"""
