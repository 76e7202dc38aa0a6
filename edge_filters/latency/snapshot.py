# SPDX-License-Identifier: Apache-2.0
"""WHERE IS EVERY HOST, AND HOW FAR? All sites at one moment, immutable.

Any number of threads read a snapshot without a lock. A change makes a new
one, which shares with the old whatever the change did not touch.
"""

import collections.abc
import dataclasses
import typing

from edge_filters.latency import metadata
from edge_filters.latency import sample


class Place(typing.NamedTuple):
    """Where a host is. Hosts at one place have the same figures.

    :param sites: names of the sites it belongs to, in order; most often one
    :param host: its name if it has figures of its own, else empty
    """

    sites: tuple[str, ...]
    host: str


NOWHERE = Place((), '')


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """All sites at one moment.

    :param sites: the aggregates' records of each site, by aggregate ID, by
        name of the site
    :param places: place of every host of a site, by its name in lower case
    """

    sites: collections.abc.Mapping[
        str, collections.abc.Mapping[int, metadata.SiteRecord]
    ] = dataclasses.field(default_factory=dict)
    places: collections.abc.Mapping[str, Place] = dataclasses.field(
        default_factory=dict
    )
    _site_names: collections.abc.Mapping[int, str] = dataclasses.field(
        default_factory=dict
    )

    def place(self, host: str) -> Place:
        """Return where a host is, whatever the case of its name."""
        return self.places.get(host.lower(), NOWHERE)

    def figure(self, place: Place, origin: str) -> sample.Sample | None:
        """Return the figure that counts at a place; None: unmeasured.

        A host's own figure wins over its site's. Of several aggregates of one
        site that have a figure the worse counts. Of several sites the worst
        counts, and a site without a figure is worse than any but an
        unreachable one.
        """
        figures = [
            self._site_figure(name, place.host, origin) for name in place.sites
        ]
        known = [figure for figure in figures if figure is not None]
        if not known:
            return None
        worst = sample.worst(*known)
        if len(known) < len(figures) and not worst.is_unreachable:
            return None
        return worst

    def _site_figure(
        self, name: str, host: str, origin: str
    ) -> sample.Sample | None:
        records = self.sites[name].values()
        figures = [
            record.host_samples[host][origin]
            for record in records
            if origin in record.host_samples.get(host, ())
        ] or [
            record.samples[origin]
            for record in records
            if origin in record.samples
        ]
        return sample.worst(*figures) if figures else None

    def knows(self, origin: str) -> bool:
        """Return whether any site has a figure of the origin."""
        return any(
            origin in record.samples
            or any(origin in own for own in record.host_samples.values())
            for records in self.sites.values()
            for record in records.values()
        )

    def replace(
        self,
        changes: collections.abc.Mapping[int, metadata.SiteRecord | None],
    ) -> 'Snapshot':
        """Return the snapshot after some aggregates have changed.

        :param changes: what each of them says now, by aggregate ID; None: it
            is gone, or no site any more
        """
        sites = dict(self.sites)
        site_names = dict(self._site_names)
        moved: dict[str, set[str]] = {}
        for aggregate_id, record in changes.items():
            old = None
            if aggregate_id in site_names:
                name = site_names.pop(aggregate_id)
                records = dict(sites.pop(name))
                old = records.pop(aggregate_id)
                if records:
                    sites[name] = records
            if record is not None:
                site_names[aggregate_id] = record.site
                sites[record.site] = {
                    **sites.get(record.site, {}),
                    aggregate_id: record,
                }
            for host in _moved_hosts(old, record):
                moved.setdefault(host, set()).update(
                    changed.site for changed in (old, record) if changed
                )
        if not moved:
            return Snapshot(sites, self.places, site_names)
        places = dict(self.places)
        for host, names in moved.items():
            place = _place(host, names.union(self.place(host).sites), sites)
            if place.sites:
                places[host] = place
            else:
                places.pop(host, None)
        return Snapshot(sites, places, site_names)


def _moved_hosts(
    old: metadata.SiteRecord | None, new: metadata.SiteRecord | None
) -> collections.abc.Set[str]:
    """Return the hosts whose place may have changed."""
    if old is None or new is None or old.site != new.site:
        return frozenset().union(
            *(
                record.hosts | record.host_samples.keys()
                for record in (old, new)
                if record
            )
        )
    return (old.hosts ^ new.hosts) | (
        old.host_samples.keys() ^ new.host_samples.keys()
    )


def _place(
    host: str,
    names: collections.abc.Iterable[str],
    sites: collections.abc.Mapping[
        str, collections.abc.Mapping[int, metadata.SiteRecord]
    ],
) -> Place:
    """Return the place of a host that can only be in the sites named."""
    its_sites = sorted(
        name
        for name in names
        if any(host in record.hosts for record in sites.get(name, {}).values())
    )
    has_own_figures = any(
        host in record.host_samples
        for name in its_sites
        for record in sites[name].values()
    )
    return Place(tuple(its_sites), host if has_own_figures else '')
