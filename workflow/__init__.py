"""How the pipeline runs: rules, profiles, and the bridge between DVC and Snakemake."""
