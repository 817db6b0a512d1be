"""Ingest deliveries as tracked drops: checks, the date of the drop, the inbox.

May import: base, data, engines, recognition.
"""
