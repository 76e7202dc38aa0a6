# SPDX-License-Identifier: Apache-2.0
"""WHERE IS EVERYTHING? Folders, ports and names."""

import enum
import pathlib
import socket

from smallcloud import errors

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
ADDRESS = '127.0.0.1'
REGION = 'RegionOne'


class Port(enum.IntEnum):
    """Who listens where on loopback."""

    ERLANG_NAMES = 18500
    BROKER = 18501
    BROKER_NODE = 18502
    DATABASE = 18503
    IDENTITY = 18504
    PLACEMENT = 18505
    IMAGE = 18506
    NETWORK = 18507
    COMPUTE = 18508

    @property
    def url(self) -> str:
        return f'http://{ADDRESS}:{self.value}'


class Layout:
    """The folder of a cloud, ``.cloud`` in the checkout."""

    def __init__(self, folder: pathlib.Path = CHECKOUT / '.cloud') -> None:
        self.folder = folder
        self.etc = folder / 'etc'
        self.logs = folder / 'logs'
        self.records = folder / 'processes'
        self.state = folder / 'state'
        self.clouds_yaml = folder / 'clouds.yaml'
        self.openrc = folder / 'openrc'
        self.tempest_conf = folder / 'tempest.conf'


def environment(nova_release: int) -> pathlib.Path:
    """Where the Python environment of a release is kept between clouds."""
    return CHECKOUT / '.tox' / f'cloud-nova-{nova_release}'


def site_names(sites: int) -> list[str]:
    return [f'site-{number}' for number in range(1, sites + 1)]


def compute_hosts(sites: int, computes: int) -> dict[str, list[str]]:
    """Return the hosts of each site; as even as can be."""
    hosts: dict[str, list[str]] = {name: [] for name in site_names(sites)}
    for number in range(computes):
        name = f'site-{number % sites + 1}'
        hosts[name].append(f'compute-{name[5:]}-{number // sites + 1}')
    return hosts


# One host more is in no site: README.rst makes a site of it, and until then
# nobody has measured it.
SPARE_HOST = 'compute-par-1'


def check_ports_are_free(ports: type[enum.IntEnum] = Port) -> None:
    """Raise an error that names every port that somebody else has."""
    taken = [port for port in ports if not _is_free(port)]
    if taken:
        names = ', '.join(
            f'{port.value} ({port.name.lower().replace("_", " ")})'
            for port in taken
        )
        raise errors.CloudError(
            f'In use on {ADDRESS} by somebody else: port {names}. Stop who '
            'listens there ("ss -ltnp" tells), then try again; nothing was '
            'started.'
        )


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        # As the services do: connections that wait for their end don't matter.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((ADDRESS, port))
        except OSError:
            return False
        return True
