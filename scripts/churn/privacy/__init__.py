"""Erase a user from every place that holds rows of users, and remove what is older than params.yaml allows.

May import: base, data, deliveries, recognition, release, stack.
"""
