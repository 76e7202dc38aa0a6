# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES THE CLOUD SAY, AND HOW DOES IT CHANGE? Through openstacksdk.

For those who are outside of Nova: who operates sites, and who measures them.
"""

import collections.abc
import contextlib
import dataclasses
import json
import re
import typing
import urllib.parse

from keystoneauth1 import exceptions as ksa_exceptions
from openstack import connection as sdk_connection
from openstack import exceptions as sdk_exceptions

from edge_filters import spelling
from edge_filters.latency import metadata as site_metadata
from edge_filters.latency import snapshot as latency_snapshot

# How many bytes of metadata go into one call; Nova takes 114,688 in all.
MAX_BODY = 64 * 1024

# The first version of the API in which aggregates have UUIDs, the last one in
# which hypervisors have CPUs and memory, and the first in which servers have
# their scheduler hints.
_UUID_MICROVERSION = '2.41'
_CAPACITY_MICROVERSION = '2.87'
_HINTS_MICROVERSION = '2.100'

_AGGREGATES = 'os_compute_api:os-aggregates:'
_HYPERVISORS = 'os_compute_api:os-hypervisors:'
_FLAVORS = 'os_compute_api:os-flavor-extra-specs:'
_SERVERS = 'os_compute_api:servers:'

# As a refusal names the one that is missing.
_POLICY = re.compile(r'\b(?:os_compute_api|placement)(?::[\w-]+)+')

# What to do about an API that is older than that.
_OLD = {406: 'scheduler hints are shown by Nova 31 (2025.1) and later only'}


class CloudError(Exception):
    """Something that the cloud did not do; its text is one sentence.

    :param what: what was tried
    :param why: what kept it from being done
    :param next_step: what whoever tried can do about it
    :param status: that of HTTP; None: there was no answer
    """

    def __init__(
        self, what: str, why: str, next_step: str, status: int | None = None
    ) -> None:
        self.what = what
        self.why = why
        self.next_step = next_step
        self.status = status
        text = f'Could not {what}: {why}; {next_step}.'
        super().__init__(spelling.printable(text))


@dataclasses.dataclass(frozen=True, slots=True)
class Aggregate:
    """A host aggregate of Nova.

    :param id: its ID
    :param name: its name
    :param uuid: its UUID; None: the API is too old to tell
    :param hosts: the names of its hosts
    :param metadata: its metadata
    """

    id: int
    name: str
    uuid: str | None = None
    hosts: tuple[str, ...] = ()
    metadata: collections.abc.Mapping[str, str] = dataclasses.field(
        default_factory=dict
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Sites:
    """The sites that there are, and what makes them so.

    :param aggregates: all aggregates, by ID
    :param snapshot: the sites
    :param problems: what of its metadata had to be skipped, by ID
    """

    aggregates: collections.abc.Mapping[int, Aggregate]
    snapshot: latency_snapshot.Snapshot
    problems: collections.abc.Mapping[
        int, collections.abc.Sequence[site_metadata.Problem]
    ]


class Hypervisor(typing.NamedTuple):
    """A hypervisor of Nova.

    :param id: its UUID, which is that of its resource provider too
    :param name: its name, which is that of its resource provider too
    :param host: the host of its compute service, in lower case
    :param is_open: whether a server may come there: its service is up and
        enabled
    :param capacity: what it has
    """

    id: str
    name: str
    host: str
    is_open: bool
    capacity: 'Capacity'


class Capacity(typing.NamedTuple):
    """What hosts have, as their hypervisors count it.

    :param vcpus_used: processors of the servers there
    :param vcpus_free: processors without a server, where a server may come;
        less than none, where more are promised than there are
    :param memory_mb_used: likewise
    :param memory_mb_free: likewise
    """

    vcpus_used: int = 0
    vcpus_free: int = 0
    memory_mb_used: int = 0
    memory_mb_free: int = 0

    def plus(self, other: 'Capacity') -> 'Capacity':
        """Return what both have."""
        return Capacity(*map(sum, zip(self, other, strict=True)))


class Cloud:
    """A cloud: its host aggregates, and what else Nova and Placement list.

    Every method may raise CloudError.

    :param connection: how to reach the cloud
    """

    def __init__(self, connection: sdk_connection.Connection) -> None:
        self._connection = connection

    @property
    def _compute(self) -> typing.Any:
        # To ask for it may take a token.
        return self._connection.compute

    def aggregates(self) -> list[Aggregate]:
        """Return all aggregates; it takes one call."""
        with saying('list the host aggregates', _AGGREGATES + 'index'):
            return [
                _told_aggregate(it)
                for it in self._listed(
                    'aggregates', '/os-aggregates', _UUID_MICROVERSION
                )
            ]

    def aggregate(self, id: int) -> Aggregate:
        """Return one aggregate; it takes one call."""
        with saying(f'show the aggregate {id}', _AGGREGATES + 'show'):
            answer = self.get(
                'compute', f'/os-aggregates/{id}', _UUID_MICROVERSION
            )
            return _same(id, _told_aggregate(answer['aggregate']))

    def sites(self) -> Sites:
        """Return the sites that the aggregates are; it takes one call."""
        return read_sites(self.aggregates())

    def create(self, name: str) -> Aggregate:
        """Create an aggregate without hosts and metadata."""
        with saying(
            f'create the aggregate {name}',
            _AGGREGATES + 'create',
            {409: 'give it another name, or take the one that is there'},
        ):
            return _aggregate(self._compute.create_aggregate(name=name))

    def delete(self, aggregate: Aggregate) -> None:
        """Delete an aggregate that has no hosts."""
        with saying(
            f'delete the aggregate {aggregate.name}',
            _AGGREGATES + 'delete',
            {400: 'take its hosts away first'},
        ):
            self._compute.delete_aggregate(
                str(aggregate.id), ignore_missing=False
            )

    def add_host(self, aggregate: Aggregate, host: str) -> Aggregate:
        """Add a host, unless it is there; return what the aggregate is then.

        Nova's names of hosts are matched without case.
        """
        if _spelt(host, aggregate.hosts):
            return aggregate
        with saying(
            f'add host {host} to the aggregate {aggregate.name}',
            _AGGREGATES + 'add_host',
            {
                404: 'the hosts are listed by: openstack compute service list '
                '--service nova-compute',
                409: 'take it out of the other one first, or choose another '
                'host',
            },
        ):
            return _aggregate(
                self._compute.add_host_to_aggregate(str(aggregate.id), host)
            )

    def remove_host(self, aggregate: Aggregate, host: str) -> Aggregate:
        """Remove a host, if it is there; return what the aggregate is then."""
        for spelt in _spelt(host, aggregate.hosts):
            with saying(
                f'remove host {spelt} from the aggregate {aggregate.name}',
                _AGGREGATES + 'remove_host',
                {409: 'move the servers that hold it away first'},
            ):
                aggregate = _aggregate(
                    self._compute.remove_host_from_aggregate(
                        str(aggregate.id), spelt
                    )
                )
        return aggregate

    def set_metadata(
        self,
        aggregate: Aggregate,
        changes: collections.abc.Mapping[str, str | None],
    ) -> Aggregate:
        """Change metadata; return what the aggregate is then.

        Only what changes something is sent: nothing, or one call, or several
        where it is more than fits. A key in another case is the same key.

        :param changes: values by key; None: the key is removed
        """
        for part in _parts(needed(aggregate.metadata, changes)):
            with saying(
                f'set the metadata of the aggregate {aggregate.name}',
                _AGGREGATES + 'set_metadata',
            ):
                changed = self._compute.set_aggregate_metadata(
                    str(aggregate.id), part
                )
                aggregate = _same(aggregate.id, _aggregate(changed))
        return aggregate

    def hypervisors(self) -> list[Hypervisor]:
        """Return all hypervisors; it takes a call for each thousand."""
        with saying('list the hypervisors', _HYPERVISORS + 'list-detail'):
            return [
                _hypervisor(it)
                for it in self._listed(
                    'hypervisors',
                    '/os-hypervisors/detail',
                    _CAPACITY_MICROVERSION,
                )
            ]

    def capacity(self) -> dict[str, Capacity]:
        """Return what each host has, by its name in lower case.

        Nova counts what is there, whatever its allocation ratios promise.
        """
        by_host: dict[str, Capacity] = {}
        for it in self.hypervisors():
            # One service may have many nodes.
            before = by_host.get(it.host, Capacity())
            by_host[it.host] = before.plus(it.capacity)
        return by_host

    def nodes(self) -> dict[str, frozenset[str]]:
        """Return the names of the nodes of each host, by its name.

        Names of hosts are in lower case. Most hosts have one node.
        """
        by_host: dict[str, frozenset[str]] = {}
        for it in self.hypervisors():
            by_host[it.host] = by_host.get(it.host, frozenset()) | {it.name}
        return by_host

    def find_flavor(self, name_or_id: str) -> typing.Any:
        """Return a flavor with its extra specs; None: there is none."""
        with saying(f'find the flavor {name_or_id}', _FLAVORS + 'index'):
            try:
                return self._compute.find_flavor(
                    name_or_id, ignore_missing=False, get_extra_specs=True
                )
            except sdk_exceptions.NotFoundException:
                return None

    def servers(
        self, **query: str
    ) -> collections.abc.Iterator[dict[str, typing.Any]]:
        """Yield servers of all projects, as Nova's API describes them.

        It takes a call for each thousand.

        :param query: which ones, in the words of that API
        """
        policy = _SERVERS + 'detail:get_all_tenants'
        with saying('list the servers', policy, _OLD):
            for it in self._listed(
                'servers',
                '/servers/detail',
                _HINTS_MICROVERSION,
                urllib.parse.urlencode({'all_tenants': '1', **query}),
            ):
                yield dict(it)

    def server(self, id: str) -> dict[str, typing.Any]:
        """Return one server, as Nova's API describes it."""
        with saying(f'show the server {id}', _SERVERS + 'show', _OLD):
            answer = self.get('compute', f'/servers/{id}', _HINTS_MICROVERSION)
            return dict(answer['server'])

    def get(
        self, service: str, path: str, microversion: str
    ) -> dict[str, typing.Any]:
        """Return what a service answers, for use within :func:`saying`.

        Not as resources of openstacksdk: to make one takes 0.6 ms, and there
        are thousands.
        """
        adapter = getattr(self._connection, service)
        answer = adapter.get(path, microversion=microversion)
        sdk_exceptions.raise_from_response(answer)
        content: dict[str, typing.Any] = answer.json()
        return content

    def _listed(
        self, kind: str, path: str, microversion: str, query: str = ''
    ) -> collections.abc.Iterator[typing.Any]:
        """Yield what Nova has of a kind, page by page."""
        asked = set()
        while query not in asked:
            asked.add(query)
            content = self.get(
                'compute', f'{path}?{query}' if query else path, microversion
            )
            if not isinstance(content[kind], list):
                raise TypeError(f'{kind} are no list')
            yield from content[kind]
            links = content.get(f'{kind}_links', ())
            next_page = [it['href'] for it in links if it['rel'] == 'next']
            if not next_page:
                return
            # The address may be one that is good inside of the cloud only.
            query = urllib.parse.urlsplit(next_page[0]).query
        raise ValueError('it has no end')


def read_sites(aggregates: collections.abc.Iterable[Aggregate]) -> Sites:
    """Return the sites that aggregates are."""
    by_id = {aggregate.id: aggregate for aggregate in aggregates}
    records = {}
    problems = {}
    for aggregate in by_id.values():
        record, skipped = site_metadata.parse_site(
            aggregate.metadata, aggregate.hosts
        )
        if record is not None:
            records[aggregate.id] = record
        if skipped:
            problems[aggregate.id] = skipped
    snapshot = latency_snapshot.Snapshot().replace(records)
    return Sites(by_id, snapshot, problems)


def text(value: object) -> str:
    """Return a text that is one, for use within :func:`saying`.

    :raises TypeError: if it is none
    """
    if not isinstance(value, str):
        raise TypeError(f'{spelling.shown(value)} is no text')
    return value


def _hypervisor(it: dict[str, typing.Any]) -> Hypervisor:
    is_open = (it['state'], it['status']) == ('up', 'enabled')
    vcpus, used = int(it['vcpus'] or 0), int(it['vcpus_used'] or 0)
    memory, used_memory = (
        int(it[name] or 0) for name in ('memory_mb', 'memory_mb_used')
    )
    capacity = Capacity(
        used,
        vcpus - used if is_open else 0,
        used_memory,
        memory - used_memory if is_open else 0,
    )
    host = text(it['service']['host']).lower()
    name = text(it['hypervisor_hostname'])
    return Hypervisor(text(it['id']), name, host, is_open, capacity)


def _told_aggregate(it: dict[str, typing.Any]) -> Aggregate:
    return Aggregate(
        int(it['id']),
        text(it['name']),
        text(it['uuid'] or '') or None,
        tuple(map(text, it['hosts'])),
        {text(key): text(value) for key, value in it['metadata'].items()},
    )


def _aggregate(resource: typing.Any) -> Aggregate:
    # A new one has neither hosts nor metadata, not even empty ones.
    told = {'hosts': resource.hosts or (), 'metadata': resource.metadata or {}}
    names = {name: getattr(resource, name) for name in ('id', 'name', 'uuid')}
    return _told_aggregate(names | told)


def _same(id: int, aggregate: Aggregate) -> Aggregate:
    """Return an aggregate that is the one that was asked for."""
    if aggregate.id != id:
        raise ValueError(f'{aggregate.id} is not {id}')
    return aggregate


def _spelt(
    name: str, names: collections.abc.Iterable[str]
) -> collections.abc.Sequence[str]:
    """Return the spellings that a name has among others."""
    return [it for it in names if it.lower() == name.lower()]


def needed(
    there: collections.abc.Mapping[str, str],
    changes: collections.abc.Mapping[str, str | None],
) -> dict[str, str | None]:
    """Return what has to be sent for changes to be made; removals first.

    A key in another spelling has to go before its new value comes: MySQL and
    MariaDB take those for one that differ in case.
    """
    spelt: dict[str, list[str]] = {}
    for key in there:
        spelt.setdefault(site_metadata.fold(key), []).append(key)
    removed: dict[str, None] = {}
    added = {}
    for key, value in changes.items():
        other = [
            it
            for it in spelt.get(site_metadata.fold(key), ())
            if value is None or it != key
        ]
        removed |= dict.fromkeys(other)
        if value is not None and (other or there.get(key) != value):
            added[key] = value
    return {**removed, **added}


def _parts(
    needed: collections.abc.Mapping[str, str | None],
) -> collections.abc.Iterator[dict[str, str | None]]:
    """Yield what is to be sent, in parts that fit."""
    part: dict[str, str | None] = {}
    room = 0
    for key, value in needed.items():
        size = len(json.dumps({key: value}))
        if size > room:
            if part:
                yield part
            # What is around the keys takes less.
            part, room = {}, MAX_BODY - 100
        part[key] = value
        room -= size
    if part:
        yield part


@contextlib.contextmanager
def saying(
    what: str,
    policy: str,
    next_steps: collections.abc.Mapping[int, str] | None = None,
    service: str = 'Nova',
) -> collections.abc.Iterator[None]:
    """Say what could not be done, where the libraries raise.

    :param what: what is tried
    :param policy: the policy that has to allow it
    :param next_steps: what can be done about a status of HTTP
    :param service: who is asked; the catalog has it in lower case
    :raises CloudError: where the libraries raise
    """
    catalog = f'openstack catalog show {service.lower()}'
    try:
        yield
    except sdk_exceptions.HttpException as error:
        steps = next_steps or {}
        raise _refused(what, policy, steps, service, error) from error
    except sdk_exceptions.SDKException as error:
        raise CloudError(
            what,
            _sentence(error),
            f'see whether {catalog} has an endpoint',
        ) from error
    except (ksa_exceptions.Unauthorized, ksa_exceptions.NotFound) as error:
        raise CloudError(
            what,
            'Keystone does not accept the credentials',
            'see whether they and the address of Keystone are right; an '
            'application credential may have expired or been deleted',
            error.http_status,
        ) from error
    except ksa_exceptions.ClientException as error:
        why = _sentence(error)
        if isinstance(error, ksa_exceptions.RetriableConnectionFailure):
            why = f'{service} or Keystone cannot be reached'
        raise CloudError(
            what,
            why,
            'see whether the network lets you, whether OS_CLOUD or the --os '
            f'options are right, and what {catalog} says',
            getattr(error, 'http_status', None),
        ) from error
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise CloudError(
            what,
            f'what answers does not speak as {service} does',
            f'see which address {catalog} has',
        ) from error
    # After those, as what is no JSON is an OSError to requests, too.
    except OSError as error:
        raise CloudError(
            what,
            _sentence(error),
            'see whether the files of certificates that were given can be '
            'read',
        ) from error


def _refused(
    what: str,
    policy: str,
    next_steps: collections.abc.Mapping[int, str],
    service: str,
    error: sdk_exceptions.HttpException,
) -> CloudError:
    """Return what an answer of a service means."""
    status = error.status_code
    why = _told(error) or f'HTTP {status}'
    if named := _POLICY.search(why):
        policy = named[0]
    if status == 401:
        why = f'{service} does not accept the token'
        next_step = (
            'see what openstack token issue says; the access rules of an '
            f'application credential have to allow {_call(error)}'
        )
    elif status == 403:
        why = f'the policy {policy} does not allow it'
        next_step = 'ask for a role that has it, which most often is admin'
    elif status is not None and status in next_steps:
        next_step = next_steps[status]
    elif status == 429:
        next_step = 'wait, and try again'
    elif status == 404:
        next_step = (
            'somebody else may have removed it: openstack aggregate list has '
            'those that there are'
        )
    elif status is not None and status < 500:
        next_step = f'give what {service} accepts'
    else:
        request = error.request_id or 'no request ID'
        next_step = f'the log of {service.lower()}-api says more ({request})'
    return CloudError(what, _one_line(why), next_step, status)


def _call(error: sdk_exceptions.HttpException) -> str:
    """Return which call it was, as an access rule has it."""
    path = urllib.parse.urlsplit(str(error.url)).path
    return f'{error.method} {spelling.printable(path)}'


def _told(error: sdk_exceptions.HttpException) -> str:
    """Return what a service says of an error."""
    told = error.details or ''
    try:
        # Placement's, as the API working group's guideline on errors has it.
        told = json.loads(told)['errors'][0]['detail']
    except (LookupError, TypeError, ValueError):
        pass
    return str(told).strip().rstrip('.')


def _sentence(error: Exception) -> str:
    return _one_line(str(error).strip().rstrip('.'))


def _one_line(text: str) -> str:
    """Return what somebody else wrote as it may stand in a sentence."""
    return spelling.printable(' '.join(text.split())[:300])
