"""What this repository takes from others: packages with known vulnerabilities, actions and images that are not pinned.

May import: base.
"""
