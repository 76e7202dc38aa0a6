# SPDX-License-Identifier: Apache-2.0
"""A whole small cloud in one process, on SQLite files.

nova-api, conductor, scheduler, computes and Placement are the real ones.
What is not: the transport (``fake:/``), the hypervisors
(:mod:`sandbox.compute`) and the services in :mod:`sandbox.standins`.
"""

import atexit
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
import shutil
import tempfile
import time
from typing import Any
from typing import Self
import uuid

from keystoneauth1 import session as ks_session
from keystoneauth1 import token_endpoint
from nova import context as nova_context
from nova import service
from nova.compute import rpcapi as compute_rpcapi
from nova.conductor import rpcapi as conductor_rpcapi
from nova.scheduler import manager as scheduler_manager
from nova.scheduler import request_filter
from nova.scheduler import rpcapi as scheduler_rpcapi
from openstack import connection as sdk_connection
from openstack import exceptions as sdk_exceptions
from openstack.compute.v2 import aggregate as sdk_aggregate
from openstack.compute.v2 import flavor as sdk_flavor
from openstack.compute.v2 import server as sdk_server
import requests

from sandbox import compute
from sandbox import config
from sandbox import databases
from sandbox import identity
from sandbox import services
from sandbox import standins
from sandbox import wsgi

Host = compute.Host

_CONTROLLER = 'controller'
_POLL_S = 0.03


class Cloud:
    """A running cloud. There can be ONE per process.

    Nova's configuration, database and RPC handles are globals of the
    process, so a second cloud is refused, even after the first one stopped.
    Tests share one and call reset() between them.
    """

    _made = False

    def __init__(
        self,
        hosts: Sequence[Host],
        *,
        edge_filters: bool = True,
        options: config.Options | None = None,
    ) -> None:
        """Start the cloud.

        :param edge_filters: configure the scheduler as our README tells.
        :param options: what else is in nova.conf, by group and name; a list
            is an option given several times.
        """
        if Cloud._made:
            raise RuntimeError(
                'a process can have one Cloud only, as the configuration of '
                'Nova is global: share it and call reset()'
            )
        Cloud._made = True
        self._edge_filters = edge_filters
        self._options = options or {}
        self._request_filters = list(request_filter.ALL_REQUEST_FILTERS)
        self._files = config.Files(
            pathlib.Path(tempfile.mkdtemp(prefix='sandbox-'))
        )
        self._computes: dict[str, service.Service] = {}
        self._services: list[service.Service] = []
        self._logging: services.Logging | None = None
        self._watch: databases.Watch | None = None
        self._stopped = False
        atexit.register(self._at_exit)
        try:
            self._start(hosts)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.stop()

    def _start(self, hosts: Sequence[Host]) -> None:
        files = self._files
        self._write_nova_conf()
        config.write_placement_conf(files)
        config.write_api_paste(files)
        # Any node identity: nova-compute will not start twice without one,
        # and takes the real one from its driver.
        (files.directory / 'compute_id').write_text(str(uuid.uuid4()))
        for path in (
            files.api_database,
            files.database,
            files.placement_database,
        ):
            databases.create(path)
        databases.take_locks_late()
        services.configure(files.nova_conf)
        self._logging = services.Logging()
        databases.fill(
            files.database, files.cell0_database, config.TRANSPORT_URL
        )
        self._watch = databases.Watch((files.database, files.cell0_database))
        self._placement = services.placement(files.placement_conf)
        services.reach(
            {
                config.PLACEMENT: self._placement,
                config.GLANCE: standins.Images(),
                config.NEUTRON: standins.networks,
            }
        )
        self._api = services.api(files.api_paste)
        self._services.append(
            services.start(
                'nova-conductor', conductor_rpcapi.RPC_TOPIC, _CONTROLLER
            )
        )
        self._start_scheduler()
        self.admin = self.connect(
            'admin', 'admin', 'admin', 'member', 'reader'
        )
        self._default_flavor = self.flavor('default')
        for host in hosts:
            self._start_compute(host)
        services.discover_hosts()

    def stop(self) -> None:
        """Stop every thread of the cloud and remove its files."""
        if self._stopped:
            return
        services.stop([*self._computes.values(), *self._services])
        services.stop_thread_pools()
        self._clean_up()

    def _at_exit(self) -> None:
        """Nobody called stop(). Nova's threads end with the process."""
        services.stop_listening([*self._computes.values(), *self._services])
        self._clean_up()

    def _clean_up(self) -> None:
        self._stopped = True
        atexit.unregister(self._at_exit)
        if self._watch is not None:
            self._watch.close()
        if self._logging is not None:
            self._logging.stop()
        databases.take_locks_early()
        shutil.rmtree(self._files.directory, ignore_errors=True)

    # -- who uses it ------------------------------------------------------

    def connect(
        self,
        user: str,
        project: str,
        *roles: str,
        address: str = '127.0.0.1',
    ) -> sdk_connection.Connection:
        """A connection of this user, by default an ordinary one.

        :param address: from where nova-api sees the user come.
        """
        token = identity.token(user, project, *(roles or ('member', 'reader')))
        endpoint = f'{config.NOVA}/v2.1'
        session = ks_session.Session(
            auth=token_endpoint.Token(endpoint, token),
            session=wsgi.mount(
                requests.Session(),
                {
                    config.NOVA: self._api,
                    config.PLACEMENT: self._placement,
                },
                address,
            ),
        )
        return sdk_connection.Connection(
            session=session, placement_endpoint_override=config.PLACEMENT
        )

    # -- hosts and sites --------------------------------------------------

    def stop_host(self, name: str) -> None:
        """The host dies, and the operator says so (forced_down)."""
        services.stop([self._computes[name]])
        self._force_down(name, True)

    def start_host(self, name: str) -> None:
        """The host comes back; what was evacuated is cleaned up first."""
        self._start_compute(compute.hypervisors[name].host)
        self._force_down(name, False)

    def create_site(
        self,
        name: str,
        hosts: Sequence[str],
        metadata: Mapping[str, str] | None = None,
    ) -> sdk_aggregate.Aggregate:
        """A host aggregate with edge:site, known to the scheduler."""
        return self.create_aggregate(
            name, hosts, {'edge:site': name} | dict(metadata or {})
        )

    def create_aggregate(
        self,
        name: str,
        hosts: Sequence[str],
        metadata: Mapping[str, str],
    ) -> sdk_aggregate.Aggregate:
        """A host aggregate of any kind, known to the scheduler."""
        aggregate = self.admin.compute.create_aggregate(name=name)
        self._wait_for_aggregate(aggregate.id)
        self.set_metadata(aggregate, metadata)
        for host in hosts:
            aggregate = self.admin.compute.add_host_to_aggregate(
                aggregate.id, host
            )
            self._wait_for_aggregate(aggregate.id, _has_host(host))
        return aggregate

    def set_metadata(
        self,
        aggregate: sdk_aggregate.Aggregate,
        metadata: Mapping[str, str | None],
    ) -> None:
        """Set keys, or remove those that are None, and wait likewise."""
        self.admin.compute.set_aggregate_metadata(aggregate.id, dict(metadata))
        self._wait_for_aggregate(
            aggregate.id,
            lambda known: all(
                known.metadata.get(key) == value
                for key, value in metadata.items()
            ),
        )

    # -- servers ----------------------------------------------------------

    def flavor(
        self,
        name: str,
        vcpus: int = 1,
        memory_mb: int = 512,
        disk_gb: int = 1,
        extra_specs: Mapping[str, str] | None = None,
    ) -> sdk_flavor.Flavor:
        flavor = self.admin.compute.create_flavor(
            name=name, vcpus=vcpus, ram=memory_mb, disk=disk_gb
        )
        if extra_specs:
            flavor = self.admin.compute.create_flavor_extra_specs(
                flavor, dict(extra_specs)
            )
        return flavor

    def boot(
        self,
        name: str = 'server',
        *,
        hints: Mapping[str, Any] | None = None,
        flavor: sdk_flavor.Flavor | None = None,
        count: int = 1,
        connection: sdk_connection.Connection | None = None,
        wait: bool = True,
        **body: Any,
    ) -> list[sdk_server.Server]:
        """Boot servers, and wait until they are ACTIVE or in ERROR.

        :param body: what else is asked of the server, by the API's names.
        """
        request: dict[str, Any] = {
            'server': {
                'name': name,
                'flavorRef': (flavor or self._default_flavor).id,
                'imageRef': standins.IMAGE_ID,
                'networks': 'none',
                'min_count': count,
                'max_count': count,
                'return_reservation_id': True,
            }
            | body
        }
        if hints is not None:
            request['os:scheduler_hints'] = dict(hints)
        response = (connection or self.admin).compute.post(
            '/servers', json=request, microversion='latest'
        )
        sdk_exceptions.raise_from_response(response)
        servers = list(
            self.admin.compute.servers(
                all_projects=True,
                reservation_id=response.json()['reservation_id'],
            )
        )
        servers.sort(key=lambda server: server.name)
        if not wait:
            return servers
        return [self.wait_for(server, 'ACTIVE', 'ERROR') for server in servers]

    def wait_for(
        self,
        server: sdk_server.Server,
        *statuses: str,
        timeout: float = 60,
    ) -> sdk_server.Server:
        """The server, once no task or move is under way on it.

        :param statuses: wait for one of them; any will do if there is none.
        :raises TimeoutError: with the server's fault.
        """
        deadline = time.monotonic() + timeout
        while True:
            _wait(
                lambda: self._watch.is_settled(server.id),
                timeout,
            )
            found = self.admin.compute.get_server(server.id)
            if not statuses or found.status in statuses:
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f'server {found.name} is {found.status}, not '
                    f'{" or ".join(statuses)}; fault: {found.fault}'
                )
            time.sleep(_POLL_S)

    def host_of(self, server: sdk_server.Server) -> str:
        """Where the server is now; empty if it is nowhere."""
        return self.admin.compute.get_server(server.id).compute_host or ''

    # -- the cloud itself -------------------------------------------------

    @property
    def scheduler(self) -> scheduler_manager.SchedulerManager:
        return self._scheduler.manager

    def restart_scheduler(
        self,
        options: config.Options | None = None,
        *,
        edge_filters: bool | None = None,
    ) -> None:
        """Stop the scheduler and start it anew.

        :param options: in place of those the cloud was made with.
        :param edge_filters: likewise.
        """
        services.stop([self._scheduler])
        if self._scheduler in self._services:  # not if it failed to start
            self._services.remove(self._scheduler)
        self._write_nova_conf(options, edge_filters)
        services.reconfigure()
        # A new process would have Nova's own request filters only.
        request_filter.ALL_REQUEST_FILTERS[:] = self._request_filters
        self._start_scheduler()
        for running in self._computes.values():
            _tell_scheduler(running)

    def reset(self) -> None:
        """Make it as it was: no servers, sites or flavors, every host up."""
        for name in self._down_hosts():
            self.start_host(name)
        nova = self.admin.compute
        for server in nova.servers(all_projects=True):
            nova.delete_server(server)
        _wait(lambda: not list(nova.servers(all_projects=True)))
        for group in nova.server_groups(all_projects=True):
            nova.delete_server_group(group)
        for aggregate in nova.aggregates():
            for host in aggregate.hosts or ():
                nova.remove_host_from_aggregate(aggregate.id, host)
                # Or the scheduler may hear of it after the aggregate is gone.
                self._wait_for_aggregate(aggregate.id, _has_host(host, False))
            nova.delete_aggregate(aggregate.id)
        _wait(lambda: not self.scheduler.host_manager.aggs_by_id)
        for flavor in nova.flavors(is_public=None):
            if flavor.id != self._default_flavor.id:
                nova.delete_flavor(flavor)

    def _write_nova_conf(
        self,
        options: config.Options | None = None,
        edge_filters: bool | None = None,
    ) -> None:
        if options is None:
            options = self._options
        if edge_filters is None:
            edge_filters = self._edge_filters
        config.write_nova_conf(self._files, options, edge_filters=edge_filters)

    def _start_scheduler(self) -> None:
        self._scheduler = services.start(
            'nova-scheduler', scheduler_rpcapi.RPC_TOPIC, _CONTROLLER
        )
        self._services.append(self._scheduler)

    def _start_compute(self, host: Host) -> None:
        compute.plug_in(host)
        started = services.start(
            'nova-compute',
            compute_rpcapi.RPC_TOPIC,
            host.name,
            topic_alt=compute_rpcapi.RPC_TOPIC_ALT,
        )
        self._computes[host.name] = started
        _tell_scheduler(started)

    def _down_hosts(self) -> list[str]:
        return [
            found.host
            for found in self.admin.compute.services(binary='nova-compute')
            if found.is_forced_down
        ]

    def _force_down(self, name: str, down: bool) -> None:
        (found,) = self.admin.compute.services(
            binary='nova-compute', host=name
        )
        self.admin.compute.update_service(found, forced_down=down)

    def _wait_for_aggregate(
        self,
        aggregate_id: int,
        is_known: Callable[[Any], bool] = lambda known: True,
    ) -> None:
        def arrived() -> bool:
            known = self.scheduler.host_manager.aggs_by_id.get(aggregate_id)
            return known is not None and is_known(known)

        _wait(arrived)


def _has_host(host: str, has: bool = True) -> Callable[[Any], bool]:
    return lambda known: (host in known.hosts) == has


def _tell_scheduler(running: service.Service) -> None:
    """Say which servers are here, as a periodic task does.

    Until then the scheduler asks the database for each host and request.
    """
    running.manager._sync_scheduler_instance_info(
        nova_context.get_admin_context()
    )


def _wait(arrived: Callable[[], bool], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not arrived():
        if time.monotonic() > deadline:
            raise TimeoutError('the cloud did not get there')
        time.sleep(_POLL_S)
