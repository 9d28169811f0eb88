"""The app document: what a descriptor may say, read, written, checked and compiled.

The language
    model           the document as frozen values: App, Graph, Shared, seven kinds of activities
    parts           what these are made of: ids, topics, schemas, retries, stats
    identifiers     ids and topics: how long, of which characters
    document        load (YAML text, path or dict -> App), dump (App -> YAML text), content_hash
    yaml_reader     YAML read with care: plain data, with the line of every key and item
    files           `$ref` to other files, for documents that come from a path
    layout          how a document is laid out as YAML, for people

What is wrong with a document
    findings        path, line and sentence; pydantic's errors translated
    validation      whether an app holds together: all findings
    values          values of the mapping language: references, literals, durations
    expressions     the mapping language itself: what may stand where a value is wanted
    operations      operations on a job's attributes and entity, as data
    queries         which jobs a question over statistics is about
    function_graphs graphs of functions, and what is shared between them
    stats           whether what a trigger counts, and a signal to all asks for, can be found again
    escalations     what a hook's escalation may say
    document_warnings  what a document says without effect

Graphs of functions
    commands        the commands of a workflow's function, and the activities behind them
    shared          what graphs of functions have in common, as each graph's own
    hashes          versions of what functions generate: hashes of their content
    edits           what operators changed of a generated descriptor, laid over it
    differences     what was edited of a generated descriptor, and what only code can change
    command_plan    a generated graph, compiled to lookups by the names of commands

The compiled form
    plan            compile_graph: graph -> Plan, the form that the engine interprets
    routes          the transitions of a node, indexed
    tree            which activities lie above which
    value_positions where values of the mapping language stand, and which references fit there
    wildcards       the wildcard keys of job.maps
    schemas         JSON Schemas, compiled: what is wrong with data, and with the schema
    schema_checks   by which schemas a graph has its data checked
    schema_patterns patterns of JSON Schemas, searched for in linear time
    schema_mismatch whether data fits a generated JSON Schema: what is surely wrong is found
"""
