"""Shared by the pages of the dashboard: the state of the registry, the files of the last run, cards and charts.

May import: base, drift, features, release, scoring.
"""
