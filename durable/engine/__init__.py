"""From a deployed graph to facts: the interpreter, and the one place that commits."""
