"""Starting, finding, signalling and awaiting runs."""
