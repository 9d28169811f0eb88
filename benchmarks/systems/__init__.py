"""The systems that are measured: this project and its peers, each with the same four workflows.

A system's module runs in an environment of its own, and imports nothing of the others.
"""
