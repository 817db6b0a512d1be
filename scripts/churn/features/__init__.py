"""What the model knows about a user: the features and labels as Ibis expressions, the as-of dates at which they are
computed, and the columns of a table of features.

May import: base, data, engines.
"""
