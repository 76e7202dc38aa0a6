# SPDX-License-Identifier: Apache-2.0
"""HOW DOES A BIG WORLD GET INTO THE DATABASES? As rows, many at once.

Ten thousand nova-computes would take an hour to start. The rows are those
that sandbox.Cloud has after its hosts have started.
"""

from collections.abc import Iterable
import contextlib
import datetime
import json
import pathlib
import sqlite3
from typing import Any
import uuid

from nova.objects import service

from sandbox import big_hosts
from sandbox import big_world
from sandbox import config

# Placement's IDs of the standard resource classes.
_INVENTORY = {
    0: {'total': big_hosts.VCPUS, 'reserved': 0, 'allocation_ratio': 4.0},
    1: {
        'total': big_hosts.MEMORY_MB,
        'reserved': 512,
        'allocation_ratio': 1.0,
    },
    2: {'total': big_hosts.DISK_GB, 'reserved': 0, 'allocation_ratio': 1.0},
}
# What Nova asks of every candidate, and some of what hosts say besides.
_TRAITS = (
    'OWNER_NOVA',
    'COMPUTE_NODE',
    'COMPUTE_IMAGE_TYPE_RAW',
    'COMPUTE_NET_ATTACH_INTERFACE',
    'COMPUTE_VOLUME_EXTEND',
    'COMPUTE_ADDRESS_SPACE_EMULATED',
)
_NO_POOLS = json.dumps(
    {
        'nova_object.name': 'PciDevicePoolList',
        'nova_object.namespace': 'nova',
        'nova_object.version': '1.1',
        'nova_object.data': {'objects': []},
        'nova_object.changes': ['objects'],
    }
)


def write(files: config.Files, world: big_world.World) -> None:
    """Write hosts and aggregates, for Nova and for Placement."""
    write_aggregates(files.api_database, world)
    hosts = {
        name: (number, _uuid(number))
        for number, name in enumerate(world.all_hosts(), 1)
    }
    _write_mappings(files.api_database, hosts)
    _write_computes(files.database, hosts)
    _write_providers(files.placement_database, world, hosts)


def write_aggregates(database: pathlib.Path, world: big_world.World) -> None:
    """Fill Nova's tables; through its API it would take hours."""
    aggregates = list(world.aggregates())
    with _open(database) as connection:
        _insert(
            connection,
            'aggregates',
            (
                {'id': it.id, 'uuid': it.uuid, 'name': it.name}
                for it in aggregates
            ),
        )
        _insert(
            connection,
            'aggregate_hosts',
            (
                {'aggregate_id': it.id, 'host': host}
                for it in aggregates
                for host in it.hosts
            ),
        )
        _insert(
            connection,
            'aggregate_metadata',
            (
                {'aggregate_id': it.id, 'key': key, 'value': value}
                for it in aggregates
                for key, value in it.metadata.items()
            ),
        )


def _write_mappings(
    database: pathlib.Path, hosts: dict[str, tuple[int, str]]
) -> None:
    with _open(database) as connection:
        ((cell,),) = connection.execute(
            "SELECT id FROM cell_mappings WHERE name = 'cell1'"
        )
        _insert(
            connection,
            'host_mappings',
            ({'cell_id': cell, 'host': name} for name in hosts),
        )


def _write_computes(
    database: pathlib.Path, hosts: dict[str, tuple[int, str]]
) -> None:
    now = datetime.datetime.now(datetime.UTC).strftime('%F %T.%f')
    with _open(database) as connection:
        _insert(
            connection,
            'services',
            (
                {
                    'created_at': now,
                    'last_seen_up': now,
                    'id': number,
                    'uuid': _uuid(-number),
                    'host': name,
                    'binary': 'nova-compute',
                    'topic': 'compute',
                    'report_count': 1,
                    'disabled': 0,
                    'deleted': 0,
                    'forced_down': 0,
                    'version': service.SERVICE_VERSION,
                }
                for name, (number, _) in hosts.items()
            ),
        )
        _insert(
            connection,
            'compute_nodes',
            (
                _compute_node(name, number, its_uuid, now)
                for name, (number, its_uuid) in hosts.items()
            ),
        )


def _compute_node(
    name: str, number: int, its_uuid: str, now: str
) -> dict[str, Any]:
    return {
        'created_at': now,
        'updated_at': now,
        'id': number,
        'uuid': its_uuid,
        'service_id': number,
        'host': name,
        'hypervisor_hostname': name,
        'vcpus': big_hosts.VCPUS,
        'vcpus_used': 0,
        'memory_mb': big_hosts.MEMORY_MB,
        'memory_mb_used': 512,
        'free_ram_mb': big_hosts.MEMORY_MB - 512,
        'local_gb': big_hosts.DISK_GB,
        'local_gb_used': 0,
        'free_disk_gb': big_hosts.DISK_GB,
        'disk_available_least': big_hosts.DISK_GB,
        'hypervisor_type': 'QEMU',
        'hypervisor_version': 8002002,
        'cpu_info': big_hosts.CPU_INFO,
        'current_workload': 0,
        'running_vms': 0,
        'deleted': 0,
        'host_ip': '192.0.2.2',
        'supported_instances': '[["x86_64", "kvm", "hvm"]]',
        'pci_stats': _NO_POOLS,
        'metrics': '[]',
        'stats': '{"failed_builds": "0"}',
        'cpu_allocation_ratio': 4.0,
        'ram_allocation_ratio': 1.0,
        'disk_allocation_ratio': 1.0,
        'mapped': 1,
    }


def _write_providers(
    database: pathlib.Path,
    world: big_world.World,
    hosts: dict[str, tuple[int, str]],
) -> None:
    with _open(database) as connection:
        traits = [
            trait
            for name in _TRAITS
            for (trait,) in connection.execute(
                'SELECT id FROM traits WHERE name = ?', (name,)
            )
        ]
        _insert(
            connection,
            'resource_providers',
            (
                {
                    'id': number,
                    'uuid': its_uuid,
                    'name': name,
                    'generation': 2,
                    'root_provider_id': number,
                }
                for name, (number, its_uuid) in hosts.items()
            ),
        )
        _insert(
            connection,
            'inventories',
            (
                {
                    'resource_provider_id': number,
                    'resource_class_id': resource_class,
                    'min_unit': 1,
                    'max_unit': inventory['total'],
                    'step_size': 1,
                }
                | inventory
                for number, _ in hosts.values()
                for resource_class, inventory in _INVENTORY.items()
            ),
        )
        _insert(
            connection,
            'resource_provider_traits',
            (
                {'resource_provider_id': number, 'trait_id': trait}
                for number, _ in hosts.values()
                for trait in traits
            ),
        )
        _insert(
            connection,
            'placement_aggregates',
            ({'id': it.id, 'uuid': it.uuid} for it in world.aggregates()),
        )
        _insert(
            connection,
            'resource_provider_aggregates',
            (
                {'resource_provider_id': hosts[host][0], 'aggregate_id': it.id}
                for it in world.aggregates()
                for host in it.hosts
            ),
        )


@contextlib.contextmanager
def _open(database: pathlib.Path) -> Any:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        yield connection
        connection.commit()


def _insert(
    connection: sqlite3.Connection,
    table: str,
    rows: Iterable[dict[str, Any]],
) -> None:
    """Insert rows, all of which have the columns of the first."""
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    names = ', '.join(first)
    values = ', '.join(f':{name}' for name in first)
    statement = f'INSERT INTO {table} ({names}) VALUES ({values})'
    connection.execute(statement, first)
    connection.executemany(statement, rows)


def _uuid(number: int) -> str:
    return str(uuid.UUID(int=number % (1 << 48) | 0x4000 << 64, version=4))
