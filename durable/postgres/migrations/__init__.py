"""The schema, as numbered files; never edited once released."""
