"""Two machines on a network, for tests: network namespaces that are connected by a cable."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_stack import Stack

SERVER = {"IPv4": "10.77.0.1", "IPv6": "fd00:77::1"}
CLIENT = {"IPv4": "10.77.0.2", "IPv6": "fd00:77::2"}


class Machine:
    """A machine with two addresses on the network."""

    def __init__(self, name: str, addresses: dict[str, str]) -> None:
        self.name, self.addresses = name, addresses

    def command(self, *command: object) -> list[str]:
        """Return the command that runs a command on this machine."""
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def connect(self) -> None:
        """Give the end of the cable its addresses."""
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "address", "add", f"{self.addresses['IPv4']}/24", "dev", "cable")
        ip("-n", self.name, "address", "add", f"{self.addresses['IPv6']}/64", "dev", "cable", "nodad")
        ip("-n", self.name, "link", "set", "cable", "up")


class StackOnMachine(Stack):
    """The stack of a repository, on one of the machines."""

    def __init__(self, repository: Path, machine: Machine) -> None:
        super().__init__(repository)
        self.machine = machine

    def run(self, *command: object, **options):
        """Run a command in the repository, on the machine."""
        return super().run(*self.machine.command(*command), **options)


@contextlib.contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Yield a server and a client, or skip the test where a user may not make networks."""
    server = Machine(f"churn-server-{os.getpid()}", SERVER)
    client = Machine(f"churn-client-{os.getpid()}", CLIENT)
    with contextlib.ExitStack() as stack:
        for machine in server, client:
            try:
                ip("netns", "add", machine.name)
            except (OSError, subprocess.CalledProcessError) as error:
                pytest.skip(f"cannot make network namespaces: {getattr(error, 'stderr', '') or error}")
            stack.callback(ip, "netns", "delete", machine.name)
        cable = ("cable", "netns", client.name)
        ip("-n", server.name, "link", "add", "cable", "type", "veth", "peer", "name", *cable)
        for machine in server, client:
            machine.connect()
        yield server, client


def ip(*arguments: str) -> None:
    """Run iproute2's `ip`."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
