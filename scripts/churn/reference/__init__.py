"""Generate the pages of docs/reference; the hook that builds the documentation site.

May import: base, data, features.
"""
