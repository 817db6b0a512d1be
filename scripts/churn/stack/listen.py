"""The address to listen on: this machine only or a network, and how clients write it."""

import ipaddress
from pathlib import Path

from churn.base.command import UserError

LOCAL = "127.0.0.1"


def read_bind_address(value: str, path: Path) -> str:
    """Return CHURN_BIND_ADDRESS in its usual form.

    Raises
    ------
    UserError
        When it is not an IP address, or one that works on one network interface only.
    """
    try:
        address = ipaddress.ip_address(LOCAL if value == "localhost" else value)
    except ValueError:
        raise UserError(
            f"CHURN_BIND_ADDRESS is {value!r}, which is not an IP address. Set it in {path} to 127.0.0.1 (this machine "
            "only), to an address of this machine, or to 0.0.0.0 or :: (all its addresses)."
        ) from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_link_local:
            raise UserError(
                f"CHURN_BIND_ADDRESS is {value!r}, which means another machine on each network. Set it in {path} to an "
                "address that does not begin with fe80."
            )
        return str(address.ipv4_mapped or address)
    return str(address)


def is_loopback(address: str) -> bool:
    """Return whether only this machine can reach an IP address."""
    return ipaddress.ip_address(address).is_loopback


def reach(bind: str) -> str:
    """Return the address by which this machine reaches a server that listens on `bind`."""
    return {"0.0.0.0": LOCAL, "::": "::1"}.get(bind, bind)


def join_port(host: str, port: str) -> str:
    """Return host and port as an address has them: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
