# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES PLACEMENT KNOW? Where there is room, and who is in an aggregate.

Nova mirrors its host aggregates there: what a query is narrowed to is theirs.
"""

import collections.abc
import typing
import urllib.parse

from edge_filters import cloud

# With it Placement understands what nova-scheduler asks.
_MICROVERSION = '1.36'

_SHARES = 'MISC_SHARES_VIA_AGGREGATE'

_PROVIDERS = 'placement:resource_providers:'
_CANDIDATES = 'placement:allocation_candidates:list'


class Mirror(typing.NamedTuple):
    """What Placement knows.

    :param members: the names of the providers in each aggregate, by its UUID
    :param sharing: the UUIDs of the aggregates of each provider that shares
        what it has with those in them, by its name
    """

    members: collections.abc.Mapping[str, frozenset[str]]
    sharing: collections.abc.Mapping[str, frozenset[str]]


def read(
    client: cloud.Cloud,
    aggregates: collections.abc.Iterable[str],
) -> Mirror:
    """Return what Placement knows of aggregates, and of what is shared.

    It takes a call for each aggregate, one for each provider that shares, and
    one for each other aggregate of those.

    :param client: the cloud
    :param aggregates: UUIDs
    :raises edge_filters.cloud.CloudError: if it does not tell
    """
    members = {it: _members(client, it) for it in aggregates}
    sharing = {}
    for provider in _providers(client, required=_SHARES):
        its_uuid, name = provider['uuid'], provider['name']
        with cloud.saying(
            f'list the aggregates of the resource provider {name}',
            _PROVIDERS + 'aggregates:list',
            {404: 'it has gone meanwhile, and you can try again'},
            'Placement',
        ):
            path = f'/resource_providers/{its_uuid}/aggregates'
            its = map(cloud.text, _get(client, path)['aggregates'])
            sharing[name] = frozenset(its)
    for uuid in frozenset().union(*sharing.values()) - members.keys():
        members[uuid] = _members(client, uuid)
    return Mirror(members, sharing)


def _members(client: cloud.Cloud, aggregate: str) -> frozenset[str]:
    providers = _providers(client, member_of=aggregate)
    return frozenset(it['name'] for it in providers)


def _providers(client: cloud.Cloud, **query: str) -> list[dict[str, str]]:
    """Return the resource providers that a query finds."""
    with cloud.saying(
        'list the resource providers',
        _PROVIDERS + 'list',
        {404: 'see which address openstack catalog show placement has'},
        'Placement',
    ):
        path = f'/resource_providers?{urllib.parse.urlencode(query)}'
        return [
            {name: cloud.text(it[name]) for name in ('uuid', 'name')}
            for it in _get(client, path)['resource_providers']
        ]


def candidates(client: cloud.Cloud, query: str) -> frozenset[str]:
    """Return the UUIDs of root providers that could hold an allocation.

    It takes one call, which is answered as for nova-scheduler, but for all
    hosts.

    :param client: the cloud
    :param query: what is to be allocated, in the words of the API
    :raises edge_filters.cloud.CloudError: if it does not tell
    """
    with cloud.saying('ask for room', _CANDIDATES, None, 'Placement'):
        answer = _get(client, f'/allocation_candidates?{query}')
        return frozenset(
            cloud.text(
                answer['provider_summaries'][provider]['root_provider_uuid']
            )
            for it in answer['allocation_requests']
            for provider in it['allocations']
        )


def _get(client: cloud.Cloud, path: str) -> dict[str, typing.Any]:
    return client.get('placement', path, _MICROVERSION)
