"""Messages to people: the summary of a run, the message of a failure, and the services that receive them.

May import: base, deliveries, evaluation, release.
"""
