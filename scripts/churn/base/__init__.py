"""What every command needs: clear error messages, atomic file writes, params.yaml, the list of drops, git.
Kept small, because a change here makes every stage stale.

May import: nothing.
"""
