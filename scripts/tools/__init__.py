"""Command lines beside the pipeline, each the command of a make target of its name, run by `python scripts NAME`."""
