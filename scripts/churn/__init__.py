"""The library of the pipeline. Each folder says in its `__init__.py` what it is for and which folders it may import."""
