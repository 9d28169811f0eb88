"""The functions of pipes: a file per domain, each with its own table `FUNCTIONS`.

A new domain is a new file and a row in `table.py`.

    table.py        domain name -> its functions
    arguments.py    what a function is given, and how it refuses
    conditional.py  ternary, equality, order, nullish
    logical.py      and, or
    math_.py        arithmetic and Math
    string_.py      text
    object_.py      objects
    shields.py      objects that are frozen, sealed or not extensible
    array_.py       arrays
    number_.py      parsing and formatting of numbers, and tests on them
"""
