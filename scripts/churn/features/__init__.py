"""Features and labels as Ibis expressions, the as-of dates they are computed for, and the columns of a feature table.

May import: base, data, engines.
"""
