# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES NOVA HOLD OF A BIG WORLD? Its own objects, without a database."""

import datetime
import random
from typing import Any
from unittest import mock
import uuid

from nova import context as nova_context
from nova import objects
from nova.scheduler import host_manager

from sandbox import big_world
from sandbox import standins

# What a host has, more or less of which is taken.
VCPUS = 32
MEMORY_MB = 131072
DISK_GB = 2000
CPU_INFO = (
    '{"arch": "x86_64", "model": "Nehalem", "vendor": "Intel", '
    '"features": ["pge", "clflush"], '
    '"topology": {"cores": 1, "threads": 1, "sockets": 4}}'
)

_CELL = '5eed0000-0000-4000-8000-0000000000c1'
_NOW = datetime.datetime(2026, 11, 23, 10, tzinfo=datetime.UTC)


def aggregate(plain: big_world.Aggregate) -> 'objects.Aggregate':
    """Return Nova's object of an aggregate, with strings of its own."""
    return objects.Aggregate(
        id=plain.id,
        uuid=plain.uuid,
        name=plain.name,
        hosts=list(plain.hosts),
        metadata=plain.metadata,
    )


def aggregates(world: big_world.World) -> 'list[objects.Aggregate]':
    return [aggregate(plain) for plain in world.aggregates()]


def manager(
    known: 'list[objects.Aggregate]',
) -> host_manager.HostManager:
    """Return Nova's HostManager, as configured, with these aggregates."""
    no_cells = objects.CellMappingList(objects=[])
    with (
        mock.patch.object(
            objects.AggregateList, 'get_all', return_value=known
        ),
        mock.patch.object(
            objects.CellMappingList, 'get_all', return_value=no_cells
        ),
        mock.patch.object(host_manager.HostManager, '_init_instance_info'),
    ):
        return host_manager.HostManager()


def host_states(
    world: big_world.World, holder: host_manager.HostManager
) -> list[host_manager.HostState]:
    """Return the hosts, some of which have more to give than others."""
    rng = random.Random(big_world.SEED + 2)
    node = _compute_node()
    service = dict(_service())
    states = []
    for name in world.all_hosts():
        _take(node, rng)
        node.host = node.hypervisor_hostname = name
        service['host'] = name
        state = host_manager.HostState(name, name, _CELL)
        state.update(node, service, holder._get_aggregates_info(name), {})
        state.uuid = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        states.append(state)
    return states


def _take(node: 'objects.ComputeNode', rng: random.Random) -> None:
    servers = rng.randrange(VCPUS)
    node.vcpus_used = servers
    node.memory_mb_used = servers * 2048
    node.free_ram_mb = MEMORY_MB - node.memory_mb_used
    node.local_gb_used = servers * 20
    node.free_disk_gb = DISK_GB - node.local_gb_used
    node.running_vms = servers
    node.stats = {
        'failed_builds': '0',
        'num_instances': str(servers),
        'io_workload': str(servers % 3),
    }


def _compute_node() -> 'objects.ComputeNode':
    return objects.ComputeNode(
        uuid=str(uuid.uuid4()),
        vcpus=VCPUS,
        memory_mb=MEMORY_MB,
        local_gb=DISK_GB,
        hypervisor_type='QEMU',
        hypervisor_version=8002002,
        host_ip='192.0.2.2',
        cpu_info=CPU_INFO,
        disk_available_least=None,
        supported_hv_specs=[
            objects.HVSpec.from_list(['x86_64', 'kvm', 'hvm'])
        ],
        metrics='[]',
        pci_device_pools=objects.PciDevicePoolList(objects=[]),
        numa_topology=None,
        updated_at=_NOW,
        cpu_allocation_ratio=4.0,
        ram_allocation_ratio=1.0,
        disk_allocation_ratio=1.0,
    )


def _service() -> 'objects.Service':
    return objects.Service(
        id=1,
        uuid=str(uuid.uuid4()),
        host='',
        binary='nova-compute',
        topic='compute',
        report_count=1,
        disabled=False,
        disabled_reason=None,
        forced_down=False,
        last_seen_up=datetime.datetime.now(datetime.UTC),
        created_at=_NOW,
        updated_at=_NOW,
    )


def request(
    hints: dict[str, list[str]] | None = None,
    extra_specs: dict[str, str] | None = None,
) -> 'objects.RequestSpec':
    """Return a request for a small server, as nova-api makes it."""
    filter_properties: dict[str, Any] = {}
    if hints is not None:
        filter_properties['scheduler_hints'] = hints
    return objects.RequestSpec.from_components(
        nova_context.RequestContext('user', 'project'),
        str(uuid.uuid4()),
        objects.ImageMeta.from_dict(
            {
                'id': standins.IMAGE_ID,
                'disk_format': 'raw',
                'container_format': 'bare',
                'properties': {},
            }
        ),
        objects.Flavor(
            id=1,
            flavorid='1',
            name='small',
            vcpus=1,
            memory_mb=512,
            root_gb=1,
            ephemeral_gb=0,
            swap=0,
            extra_specs=extra_specs or {},
        ),
        None,
        objects.InstancePCIRequests(requests=[]),
        filter_properties,
        None,
        None,
        project_id='project',
        user_id='user',
    )
