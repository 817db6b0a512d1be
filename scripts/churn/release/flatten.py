"""Nested keys as flat names."""


def flatten(nested: dict, prefix: str = "") -> dict:
    """Turn nested keys into names joined by dots."""
    flat = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
