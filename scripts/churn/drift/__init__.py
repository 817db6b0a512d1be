"""Measure how a drop differs from the drops before it: the sample of users, distances, the history, the report.

May import: base, features, pictures.
"""
