"""Keep whole users: one in n, chosen by a hash of the id, the same ones at every date and in every run."""

import ibis.expr.types as ir

HEX_DIGITS = 8
LARGEST_PART = 16**HEX_DIGITS


def is_in_part(user_id: ir.IntegerColumn | ir.StringColumn, part: int) -> ir.BooleanColumn:
    """Return whether a user is one of one in `part`, a power of two up to LARGEST_PART.

    A smaller number keeps all users that a larger one keeps. Every engine has MD5, and the same one.
    """
    return user_id.cast("string").hexdigest("md5").substr(0, HEX_DIGITS) < f"{LARGEST_PART // part:0{HEX_DIGITS}x}"
