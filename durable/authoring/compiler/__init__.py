"""From definitions to the app descriptor that HotMesh deploys.

    names       which names can stand side by side in one graph
    policies    retry policies and options, as the descriptor writes them
    schemas     JSON Schemas, without what only machines would miss
    generate    `generate`: one app per task queue, one graph per workflow
    mermaid     `mermaid`: an app as a flowchart for people

All of it is plain functions on frozen values.
"""
