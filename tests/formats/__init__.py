"""A store of each format that was ever released, and what stands in it.

    python -m tests.formats.make

makes that of the newest one, `format-N.db.gz` and `format-N.json`. Those of older formats stay as
they are: they are what stepwell has to open for ever.
"""
