"""Compare a drop with the drops before it: distances, the sample of users, the history, the report.

May import: base, features, pictures.
"""
