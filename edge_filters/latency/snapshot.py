# SPDX-License-Identifier: Apache-2.0
"""WHERE IS EVERY HOST, AND HOW FAR? All sites at one moment, immutable.

Any number of threads read a snapshot without a lock. A change makes a new
one, which shares with the old whatever the change did not touch.
"""

import collections.abc
import dataclasses
import typing

from edge_filters import spelling
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

    def __str__(self) -> str:
        """Return what it is called, in words."""
        sites = spelling.listed(self.sites, ' and ') or 'a host without a site'
        return f'host {self.host} of {sites}' if self.host else sites


NOWHERE = Place((), '')

Records = collections.abc.Mapping[int, metadata.SiteRecord]
Samples = collections.abc.Mapping[str, sample.Sample]


@dataclasses.dataclass(frozen=True)
class Mapped:
    """Figures that are in no aggregate: those of a map file.

    :param samples: by site, then origin
    :param host_samples: by host (in lower case), then origin
    :param origins: all origins that are named
    """

    samples: collections.abc.Mapping[str, Samples] = dataclasses.field(
        default_factory=dict
    )
    host_samples: collections.abc.Mapping[str, Samples] = dataclasses.field(
        default_factory=dict
    )
    origins: frozenset[str] = frozenset()


NOT_MAPPED = Mapped()


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """All sites at one moment.

    :param sites: the aggregates' records of each site, by aggregate ID, by
        name of the site
    :param places: place of every host of a site, by its name in lower case
    :param site_places: the different places of the hosts of each site
    :param closed: status of the sites that are not active
    :param mapped: figures that count where no aggregate has one
    """

    sites: collections.abc.Mapping[str, Records] = dataclasses.field(
        default_factory=dict
    )
    places: collections.abc.Mapping[str, Place] = dataclasses.field(
        default_factory=dict
    )
    site_places: collections.abc.Mapping[str, frozenset[Place]] = (
        dataclasses.field(default_factory=dict)
    )
    closed: collections.abc.Mapping[str, metadata.Status] = dataclasses.field(
        default_factory=dict
    )
    mapped: Mapped = NOT_MAPPED
    _site_names: collections.abc.Mapping[int, str] = dataclasses.field(
        default_factory=dict
    )
    # How many aggregates name an origin.
    _named: collections.abc.Mapping[str, int] = dataclasses.field(
        default_factory=dict
    )

    def place(self, host: str) -> Place:
        """Return where a host is, whatever the case of its name."""
        host = host.lower()
        place = self.places.get(host, NOWHERE)
        if host in self.mapped.host_samples and place.sites:
            return Place(place.sites, host)
        return place

    def places_of(self, hosts: collections.abc.Iterable[str]) -> list[Place]:
        """Return where hosts are: the same as :meth:`place`, but faster."""
        hosts = list(hosts)
        if self.mapped.host_samples:
            return list(map(self.place, hosts))
        places = list(map(self.places.get, hosts))
        if None not in places:
            return typing.cast(list[Place], places)
        # Some are in no site, or are spelt in upper case.
        return [
            place or self.place(host)
            for host, place in zip(hosts, places, strict=True)
        ]

    def all_places(self) -> frozenset[Place]:
        """Return the different places that there are."""
        return frozenset().union(
            *self.site_places.values(),
            (
                place
                for place in map(self.place, self.mapped.host_samples)
                if place.sites
            ),
        )

    def tiers(self, place: Place) -> frozenset[str]:
        """Return the tiers of the sites of a place."""
        return frozenset(
            record.tier
            for name in place.sites
            for record in self.sites[name].values()
            if record.tier is not None
        )

    def figures(
        self,
        place: Place,
        origin: str,
        estimator: estimate.Estimator,
        is_too_old: collections.abc.Callable[[sample.Sample], bool]
        | None = None,
    ) -> list[sample.Sample | None]:
        """Return the figures that count at a place, of which the worst does.

        There is one for each site of the place, or for each of its aggregates
        that has one. A host's own figure wins over its site's, and that of an
        aggregate over that of a map file. Where none is listed, or all are too
        old, the RTT of users attached to a site is estimated; failing that the
        site's default counts. None: unmeasured.

        :param is_too_old: which figures an estimate is better than; None:
            none
        """
        figures: list[sample.Sample | None] = []
        for name in place.sites:
            listed = self._listed(name, place.host, origin)
            if not listed or (is_too_old and all(map(is_too_old, listed))):
                listed = self._attached(origin, name, estimator) or listed
            figures += listed or self._defaults(name) or [None]
        return figures

    def from_site(
        self, place: Place, origin_site: str, estimator: estimate.Estimator
    ) -> list[sample.Sample | None]:
        """Return how far the sites of a place are from another site.

        The site itself is the nearest. To others it is what is measured
        between the sites, else what is measured from the users of that site,
        else what their distance makes likely.
        """
        figures: list[sample.Sample | None] = []
        for name in place.sites:
            figures += (
                self._estimates(origin_site, name, estimator)
                or self._listed(name, place.host, origin_site)
                or [
                    estimator.across(position, there)
                    for position in self._positions(origin_site)
                    for there in self._positions(name)
                ]
                or [None]
            )
        return figures

    def from_position(
        self,
        place: Place,
        users: estimate.Position,
        estimator: estimate.Estimator,
    ) -> list[sample.Sample | None]:
        """Return what the distance makes likely, for each site of a place."""
        figures: list[sample.Sample | None] = []
        for name in place.sites:
            positions = self._positions(name)
            figures += [estimator.across(users, it) for it in positions] or [
                None
            ]
        return figures

    def _listed(
        self, name: str, host: str, origin: str
    ) -> list[sample.Sample]:
        records = self.sites[name].values()
        if host:
            own = [
                it
                for record in records
                if (it := record.host_samples.get(host, {}).get(origin))
            ]
            if own:
                return own
            mapped = self.mapped.host_samples.get(host, {}).get(origin)
            if mapped:
                return [mapped]
        listed = [
            it for record in records if (it := record.samples.get(origin))
        ]
        if listed or name not in self.mapped.samples:
            return listed
        mapped = self.mapped.samples[name].get(origin)
        return [mapped] if mapped else []

    def _defaults(self, name: str) -> list[sample.Sample]:
        return [
            record.default
            for record in self.sites[name].values()
            if record.default is not None
        ]

    def _attached(
        self, origin: str, name: str, estimator: estimate.Estimator
    ) -> list[sample.Sample]:
        """Return the estimates for users attached to the site of a name."""
        if not self._has_users(origin):
            return []
        return self._estimates(origin, name, estimator)

    def _estimates(
        self, one: str, other: str, estimator: estimate.Estimator
    ) -> list[sample.Sample]:
        """Return the estimates for users of one site, either direction."""
        if one == other:
            between = [sample.Sample(0.0)]
        else:
            between = [
                record.site_samples[to]
                for name, to in ((one, other), (other, one))
                for record in self.sites.get(name, {}).values()
                if to in record.site_samples
            ]
        return [it for it in map(estimator.attached, between) if it]

    def _has_users(self, name: str) -> bool:
        return any(
            record.prefixes for record in self.sites.get(name, {}).values()
        )

    def _positions(self, name: str) -> set[estimate.Position]:
        """Return where a site is; most often its aggregates agree."""
        return {
            record.position
            for record in self.sites.get(name, {}).values()
            if record.position is not None
        }

    def knows(self, origin: str) -> bool:
        """Return whether there is a figure of an origin, or it is a site's."""
        return origin in self._named or origin in self.mapped.origins

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
        named = dict(self._named)
        changed_sites: set[str] = set()
        moved: dict[str, set[str]] = {}
        for aggregate_id, record in changes.items():
            old = None
            if aggregate_id in site_names:
                name = site_names.pop(aggregate_id)
                records = dict(sites.pop(name))
                old = records.pop(aggregate_id)
                _count(named, old, -1)
                if records:
                    sites[name] = records
            if record is not None:
                site_names[aggregate_id] = record.site
                sites[record.site] = {
                    **sites.get(record.site, {}),
                    aggregate_id: record,
                }
                _count(named, record, 1)
            its_sites = {it.site for it in (old, record) if it is not None}
            changed_sites |= its_sites
            for host in _moved_hosts(old, record):
                moved.setdefault(host, set()).update(its_sites)
        places, site_places = self._places(moved, sites)
        return Snapshot(
            sites,
            places,
            site_places,
            self._closed(changed_sites, sites),
            self.mapped,
            site_names,
            named,
        )

    def with_mapped(self, mapped: Mapped) -> 'Snapshot':
        """Return the snapshot with other figures beside the aggregates'."""
        return dataclasses.replace(self, mapped=mapped)

    def _places(
        self,
        moved: collections.abc.Mapping[str, set[str]],
        sites: collections.abc.Mapping[str, Records],
    ) -> tuple[
        collections.abc.Mapping[str, Place],
        collections.abc.Mapping[str, frozenset[Place]],
    ]:
        """Return the place of every host, and the places of every site."""
        if not moved:
            return self.places, self.site_places
        places = dict(self.places)
        site_places = dict(self.site_places)
        touched: set[str] = set()
        # Hosts at one place share one object: there are ten times as many.
        shared: dict[Place, Place] = {}
        for host, names in moved.items():
            names = names.union(self.places.get(host, NOWHERE).sites)
            for name in names - touched:
                shared.update((it, it) for it in site_places.get(name, ()))
            touched |= names
            place = _place(host, names, sites)
            if place.sites:
                places[host] = shared.setdefault(place, place)
            else:
                places.pop(host, None)
        for name in touched:
            site_places[name] = frozenset(
                places[host]
                for record in sites.get(name, {}).values()
                for host in record.hosts
            )
            if not site_places[name]:
                del site_places[name]
        return places, site_places

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


def _count(
    named: dict[str, int], record: metadata.SiteRecord, step: int
) -> None:
    """Count how many aggregates name an origin, one more or less."""
    own = (record.site,) if record.prefixes else ()
    for origin in {*own, *record.samples}.union(*record.host_samples.values()):
        count = named.get(origin, 0) + step
        if count:
            named[origin] = count
        else:
            del named[origin]


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
