"""The bridge's tests: small repositories, real DVC, real Snakemake."""
