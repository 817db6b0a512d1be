"""Compare two git revisions for `make compare`, and check out an old commit for `make reproduce`.

May import: base, drift, evaluation, pictures, release, scoring.
"""
