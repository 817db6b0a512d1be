"""Room on the disk: data that only older weeks need is dropped here, and comes back from the DVC remote.

May import: base, deliveries, features, stack.
"""
