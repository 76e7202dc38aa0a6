# SPDX-License-Identifier: Apache-2.0
"""WHERE IS EVERY HOST, AND HOW FAR? All sites at one moment, immutable.

Any number of threads read a snapshot without a lock. A change makes a new
one, which shares with the old whatever the change did not touch.
"""

import collections.abc
import dataclasses
import typing

from edge_filters.latency import estimate
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

Records = collections.abc.Mapping[int, metadata.SiteRecord]


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """All sites at one moment.

    :param sites: the aggregates' records of each site, by aggregate ID, by
        name of the site
    :param places: place of every host of a site, by its name in lower case
    :param closed: status of the sites that are not active
    """

    sites: collections.abc.Mapping[str, Records] = dataclasses.field(
        default_factory=dict
    )
    places: collections.abc.Mapping[str, Place] = dataclasses.field(
        default_factory=dict
    )
    closed: collections.abc.Mapping[str, metadata.Status] = dataclasses.field(
        default_factory=dict
    )
    _site_names: collections.abc.Mapping[int, str] = dataclasses.field(
        default_factory=dict
    )

    def place(self, host: str) -> Place:
        """Return where a host is, whatever the case of its name."""
        return self.places.get(host.lower(), NOWHERE)

    def tiers(self, place: Place) -> frozenset[str]:
        """Return the tiers of the sites of a place."""
        return frozenset(
            record.tier
            for name in place.sites
            for record in self.sites[name].values()
            if record.tier is not None
        )

    def figures(
        self, place: Place, origin: str, estimator: estimate.Estimator
    ) -> list[sample.Sample | None]:
        """Return the figures that count at a place, of which the worst does.

        There is one for each site of the place, or for each of its aggregates
        that has one. A host's own figure wins over its site's. Where neither
        is listed, the RTT of users attached to a site is estimated; failing
        that the site's default counts. None: unmeasured.
        """
        figures: list[sample.Sample | None] = []
        for name in place.sites:
            estimated = self._attached(origin, name, estimator)
            figures += (
                self._listed(name, place.host, origin)
                or ([estimated] if estimated else self._defaults(name))
                or [None]
            )
        return figures

    def estimates(
        self, place: Place, origin: str, estimator: estimate.Estimator
    ) -> list[sample.Sample | None]:
        """Return the estimates for users attached to the site of a name."""
        return [
            self._attached(origin, name, estimator) for name in place.sites
        ]

    def from_site(
        self, place: Place, origin_site: str, estimator: estimate.Estimator
    ) -> list[sample.Sample | None]:
        """Return how far the sites of a place are from another site.

        What is measured from the users of that site, else what is measured
        between the sites, else what their distance makes likely.
        """
        position = self._position(origin_site)
        figures: list[sample.Sample | None] = []
        for name in place.sites:
            between = self._between(origin_site, name)
            figures += self._listed(name, place.host, origin_site) or [
                estimator.attached(between)
                or self._across(position, name, estimator)
            ]
        return figures

    def from_position(
        self,
        place: Place,
        users: estimate.Position,
        estimator: estimate.Estimator,
    ) -> list[sample.Sample | None]:
        """Return what the distance makes likely, for each site of a place."""
        return [self._across(users, name, estimator) for name in place.sites]

    def _listed(
        self, name: str, host: str, origin: str
    ) -> list[sample.Sample]:
        records = self.sites[name].values()
        return [
            record.host_samples[host][origin]
            for record in records
            if origin in record.host_samples.get(host, ())
        ] or [
            record.samples[origin]
            for record in records
            if origin in record.samples
        ]

    def _defaults(self, name: str) -> list[sample.Sample]:
        return [
            record.default
            for record in self.sites[name].values()
            if record.default is not None
        ]

    def _attached(
        self, origin: str, name: str, estimator: estimate.Estimator
    ) -> sample.Sample | None:
        """Return the estimate for users attached to the site of a name."""
        if not self._has_users(origin):
            return None
        return estimator.attached(self._between(origin, name))

    def _has_users(self, name: str) -> bool:
        return any(
            record.prefixes for record in self.sites.get(name, {}).values()
        )

    def _between(self, one: str, other: str) -> sample.Sample | None:
        """Return the figure between two sites, the worse direction."""
        if one == other:
            return sample.Sample(0.0)
        figures = [
            record.site_samples[to]
            for name, to in ((one, other), (other, one))
            for record in self.sites.get(name, {}).values()
            if to in record.site_samples
        ]
        return sample.worst(*figures) if figures else None

    def _position(self, name: str) -> estimate.Position | None:
        return next(
            (
                record.position
                for record in self.sites.get(name, {}).values()
                if record.position is not None
            ),
            None,
        )

    def _across(
        self,
        users: estimate.Position | None,
        name: str,
        estimator: estimate.Estimator,
    ) -> sample.Sample | None:
        position = self._position(name)
        if users is None or position is None:
            return None
        return estimator.across(users, position)

    def knows(self, origin: str) -> bool:
        """Return whether any site has a figure of the origin, or its users."""
        return self._has_users(origin) or any(
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
        changed_sites: set[str] = set()
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
            its_sites = {it.site for it in (old, record) if it is not None}
            changed_sites |= its_sites
            for host in _moved_hosts(old, record):
                moved.setdefault(host, set()).update(its_sites)
        return Snapshot(
            sites,
            self._places(moved, sites),
            self._closed(changed_sites, sites),
            site_names,
        )

    def _places(
        self,
        moved: collections.abc.Mapping[str, set[str]],
        sites: collections.abc.Mapping[str, Records],
    ) -> collections.abc.Mapping[str, Place]:
        if not moved:
            return self.places
        places = dict(self.places)
        for host, names in moved.items():
            place = _place(host, names.union(self.place(host).sites), sites)
            if place.sites:
                places[host] = place
            else:
                places.pop(host, None)
        return places

    def _closed(
        self,
        changed_sites: set[str],
        sites: collections.abc.Mapping[str, Records],
    ) -> collections.abc.Mapping[str, metadata.Status]:
        closed = dict(self.closed)
        for name in changed_sites:
            status = max(
                (record.status for record in sites.get(name, {}).values()),
                default=metadata.Status.ACTIVE,
            )
            if status is metadata.Status.ACTIVE:
                closed.pop(name, None)
            else:
                closed[name] = status
        return closed


def _moved_hosts(
    old: metadata.SiteRecord | None, new: metadata.SiteRecord | None
) -> collections.abc.Set[str]:
    """Return the hosts whose place may have changed."""
    if old is None or new is None or old.site != new.site:
        return frozenset().union(
            *(record.hosts for record in (old, new) if record)
        )
    return (old.hosts ^ new.hosts) | (
        old.host_samples.keys() ^ new.host_samples.keys()
    )


def _place(
    host: str,
    names: collections.abc.Iterable[str],
    sites: collections.abc.Mapping[str, Records],
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
