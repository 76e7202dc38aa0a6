# SPDX-License-Identifier: Apache-2.0
"""DOES PLACEMENT KNOW THE SITES? What narrowed queries would leave out."""

import collections.abc

from edge_filters import spelling
from edge_filters.osc import finding
from edge_filters.osc import lookup
from edge_filters.osc import placement

_Nodes = collections.abc.Mapping[str, frozenset[str]]
_Findings = collections.abc.Iterator[finding.Finding]


def findings(
    world: lookup.World, nodes: _Nodes, mirror: placement.Mirror
) -> _Findings:
    """Yield what Placement does not know of the sites.

    :param nodes: the names of the nodes of each host, by its name in lower
        case. Of a host that is not there nothing is said
    :param mirror: what Placement knows of the aggregates of all sites
    """
    for name in world.snapshot.sites:
        found = world.site(name)
        yield from _of_members(name, found, nodes, mirror)
    yield from _of_shared(world, nodes, mirror)


def _of_members(
    name: str,
    found: lookup.Found,
    nodes: _Nodes,
    mirror: placement.Mirror,
) -> _Findings:
    for aggregate, record in found:
        known = sorted(record.hosts & nodes.keys())
        members = mirror.members.get(aggregate.uuid or '', frozenset())
        missing = [host for host in known if nodes[host] - members]
        if missing:
            yield finding.Finding(
                'mirror-incomplete',
                name,
                f'lacks {len(missing)} of {len(known)} hosts in Placement, '
                f'in the aggregate {aggregate.name}: no query that is '
                f'narrowed to it finds {spelling.listed(missing)}',
                'nova-manage placement sync_aggregates',
            )


def _of_shared(
    world: lookup.World, nodes: _Nodes, mirror: placement.Mirror
) -> _Findings:
    """Yield what is shared with hosts of a site, and left out with it."""
    sites_of: dict[str, set[str]] = {}
    for host, place in world.snapshot.places.items():
        for node in nodes.get(host, ()):
            sites_of.setdefault(node, set()).update(place.sites)
    uuids = {
        name: {
            world.sites.aggregates[its_id].uuid or ''
            for its_id in world.snapshot.sites[name]
        }
        for name in world.snapshot.sites
    }
    for provider, aggregates in mirror.sharing.items():
        sites = {
            site
            for aggregate in aggregates
            for node in mirror.members.get(aggregate, ())
            for site in sites_of.get(node, ())
        }
        for site in sites:
            if aggregates.isdisjoint(uuids[site]):
                yield finding.Finding(
                    'shared-storage-outside',
                    site,
                    f'has hosts with which {provider} shares what it has, '
                    'and it is not in the aggregate of the site: queries '
                    'that are narrowed to the site leave it out',
                    'openstack resource provider aggregate set, with the '
                    'aggregates that it has, and that of the site',
                )
