"""What every command needs: errors with one clear message, files written whole, params.yaml, the list of drops, git.
Kept small, because an edit here makes every stage stale.

May import: nothing.
"""
