"""The generated pages of docs/reference, and the hook that builds the documentation site.

May import: base, data, features.
"""
