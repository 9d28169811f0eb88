"""The app document: what a descriptor may say, read, written, checked and compiled.

model.py      the document as frozen values: App, Graph, Shared, the seven kinds of activities
parts.py      what these are made of: ids, topics, schemas, retries, stats
document.py   load (YAML text, path or dict -> App), dump (App -> YAML text), content_hash
hashes.py     versions of what functions generate: hashes of their content
identifiers.py ids and topics: how long, of which characters
commands.py   the commands of a workflow's function, and the activities behind them
shared.py     what graphs of functions have in common, as each graph's own
function_graphs.py what is wrong with graphs of functions, and with what is shared
marks.py      YAML read with care: plain data, with the line of every key and item
files.py      `$ref` to other files, for documents that come from a path
layout.py     how a document is laid out as YAML, for people
findings.py   what is wrong and where: path, line, sentence; pydantic's errors translated
validate.py   whether a document holds together: one pass, all findings
ineffective.py what a document says without effect, for whoever deploys it
escalating.py what a hook's escalation may say
schemas.py    JSON Schemas by which a graph has its data checked, compiled
places.py     where values of the mapping language stand, and which references a place may use
tree.py       who lies above whom
spreads.py    the wildcard keys of job.maps
plan.py       compile_graph: graph -> Plan, the form that the engine interprets
routes.py     the transitions of a node, indexed
counting.py   whether what a trigger counts, and a signal to all asks for, can be found again
fitting.py    whether data fits a generated JSON Schema: what is surely wrong is found
schema_patterns.py patterns of JSON Schemas, searched for in linear time: no job's data stops an
              engine
"""
