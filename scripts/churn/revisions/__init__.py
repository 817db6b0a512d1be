"""Compare two git revisions for `make compare`, and check out an old commit for `make reproduce`.

May import: base, evaluation, pictures, release, scoring.
"""
