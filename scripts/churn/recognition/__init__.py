"""Recognise how a delivery's files are written, and propose the content of data/mapping.yaml.

May import: base, data.
"""
