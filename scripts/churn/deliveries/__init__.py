"""From a delivered folder to a tracked drop: checks at the door, the date of the drop, the inbox.

May import: base, data.
"""
