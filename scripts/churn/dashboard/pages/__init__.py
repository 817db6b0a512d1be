"""One module for each page of the dashboard.

May import: base, dashboard, drift, features, release, scoring.
"""
