"""Messages about runs: the summary, the message about a failure, and the services that deliver them.

May import: base, deliveries, drift, evaluation, release.
"""
