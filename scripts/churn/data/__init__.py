"""Turn a delivery's five CSVs into typed tables: the contract of their columns, the reader, the checks of each row,
duplicates, and the quarantine of bad rows.

May import: base, engines.
"""
