"""The MLflow registry: versions, the ledger of Production, the gates of a promotion, where a candidate comes from,
and moving an embedded store to a server.

May import: base, evaluation.
"""
