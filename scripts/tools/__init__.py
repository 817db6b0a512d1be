"""Command lines beside the pipeline, one for each make target, run by `python scripts NAME`."""
