"""The MLflow registry: versions, the ledger of Production, the gates of a promotion, the provenance of a candidate,
and the migration of an embedded store to a server.

May import: base, evaluation, scoring.
"""
