# SPDX-License-Identifier: Apache-2.0
"""The hosts: hypervisors without guests, each with its own resources."""

import dataclasses
import sys
from typing import Any

from nova.virt import fake


@dataclasses.dataclass(frozen=True)
class Host:
    """A compute host and what it has to give."""

    name: str
    vcpus: int = 8
    memory_mb: int = 8192
    disk_gb: int = 100


@dataclasses.dataclass
class Hypervisor:
    """What stays when nova-compute is restarted."""

    host: Host
    guests: dict[str, Any] = dataclasses.field(default_factory=dict)


hypervisors: dict[str, Hypervisor] = {}


def plug_in(host: Host) -> None:
    """Make the hypervisor of the host, unless it is there already."""
    hypervisors.setdefault(host.name, Hypervisor(host))


class Driver(fake.FakeDriver):
    """Nova's fake driver over a hypervisor that outlives it."""

    def init_host(self, host: str) -> None:
        super().init_host(host)
        hypervisor = hypervisors[host]
        self.instances = hypervisor.guests
        self.vcpus = hypervisor.host.vcpus
        self.memory_mb = hypervisor.host.memory_mb
        self.local_gb = hypervisor.host.disk_gb
        self.resources = fake.Resources(
            self.vcpus, self.memory_mb, self.local_gb
        )

    def post_live_migration(
        self,
        context: Any,
        instance: Any,
        block_device_info: Any,
        migrate_data: Any = None,
    ) -> None:
        """The guest has left; Nova's fake driver would keep it."""
        self.destroy(context, instance, None, block_device_info)


# NOTE: Nova loads drivers from below nova.virt only.
sys.modules['nova.virt.sandbox'] = sys.modules[__name__]
