"""The pages of the dashboard, one module each.

May import: base, dashboard, drift, features, release, scoring.
"""
