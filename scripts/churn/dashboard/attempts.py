"""Limit how often a password can be tried from one address."""

import ipaddress
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

MAX_TRIES, SECONDS = 5, 60.0
# More addresses than that are not remembered; the oldest is forgotten.
MAX_ADDRESSES = 10_000


class Attempts:
    """The wrong tries of the last minute, by address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def try_password(self, address: str | None, is_right: Callable[[], bool]) -> bool | None:
        """Return whether the password is right; None, without looking at it, after too many wrong ones.

        Parameters
        ----------
        address : str or None
            Where the user connects from; None for this machine.
        is_right : callable
            Compares the password. One comparison at a time, so that tries at the same moment are counted, too.
        """
        place = _network(address)
        with self._lock:
            wrong, now = self._wrong.setdefault(place, deque()), self._clock()
            self._wrong.move_to_end(place)
            while wrong and wrong[0] <= now - SECONDS:
                wrong.popleft()
            if len(wrong) >= MAX_TRIES:
                return None
            if is_right():
                del self._wrong[place]
                return True
            wrong.append(now)
            while len(self._wrong) > MAX_ADDRESSES:
                self._wrong.popitem(last=False)
            return False


def _network(address: str | None) -> str:
    """Return what counts as one address: of IPv6 the network, because one machine has as many addresses as it likes."""
    try:
        found = ipaddress.ip_address(address or "::1")
    except ValueError:
        return str(address)
    if isinstance(found, ipaddress.IPv6Address) and not found.ipv4_mapped:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
