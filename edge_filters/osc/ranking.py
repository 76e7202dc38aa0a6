# SPDX-License-Identifier: Apache-2.0
"""WHERE WOULD A SERVER GO? Every place, the nearest that will do first.

The verdicts are those of nova-scheduler. What it knows and this does not is
what other filters refuse, and how other weighers choose among places that are
as near.
"""

import collections.abc
import typing

from edge_filters import case
from edge_filters import conf
from edge_filters import proximity
from edge_filters.latency import snapshot as latency_snapshot

Hosts = collections.abc.Collection[str]
Place = latency_snapshot.Place


class Rank(typing.NamedTuple):
    """A place, and what speaks for or against it.

    :param place: a site, or a host of it that has figures of its own
    :param site: whether the server may run at the site
    :param latency: whether it is near enough, and how near
    :param hosts: how many hosts are there
    :param room: how many of them have room; None: nobody knows
    :param is_fallback: whether it will do as nothing meets the budget
    """

    place: Place
    site: proximity.Verdict
    latency: proximity.Verdict
    hosts: int
    room: int | None
    is_fallback: bool = False

    @property
    def passes(self) -> bool:
        """Whether the server may run there, by the rules."""
        return self.site.passes and (self.latency.passes or self.is_fallback)

    @property
    def will_do(self) -> bool:
        """Whether it may, and there is room."""
        return self.passes and self.hosts > 0 and self.room != 0

    @property
    def reason(self) -> str:
        """Why, in words."""
        verdict = self.latency if self.site.passes else self.site
        if self.is_fallback:
            return f'{verdict.reason}: the fallback, as nothing meets it'
        return verdict.reason


def by_place(
    snapshot: latency_snapshot.Snapshot, hosts: collections.abc.Iterable[str]
) -> dict[Place, list[str]]:
    """Return the hosts at each place.

    Sites without a host are there too: they explain why nothing is there.

    :param hosts: names of hosts, in lower case
    """
    found: dict[Place, list[str]] = {
        Place((name,), ''): []
        for name in snapshot.sites
        if name not in snapshot.site_places
    }
    for host in hosts:
        found.setdefault(snapshot.place(host), []).append(host)
    return found


def rank(
    decided: case.Case,
    places: collections.abc.Mapping[Place, Hosts],
    room: collections.abc.Container[str] | None = None,
) -> list[Rank]:
    """Return places, those first that are nearest of what will do.

    :param places: the hosts at each place
    :param room: the hosts that have room; None: nobody knows
    """
    ranks = [
        Rank(
            place,
            decided.judge_site(place),
            decided.judge_latency(place),
            len(hosts),
            None if room is None else sum(it in room for it in hosts),
        )
        for place, hosts in places.items()
    ]
    if decided.falls_back and not any(it.will_do for it in ranks):
        # As EdgeLatencyFilter does it, after EdgeSiteFilter.
        ranks = [
            it._replace(
                is_fallback=it.site.passes
                and not it.latency.passes
                and it.latency.cost_ms is not None
            )
            for it in ranks
        ]
    return sorted(ranks, key=_order)


def _order(it: Rank) -> tuple[bool, float, Place]:
    return not it.passes, proximity.distance(it.latency), it.place


def choice(
    ranks: collections.abc.Iterable[Rank], settings: conf.Settings
) -> list[Rank]:
    """Return those among which other weighers choose, the nearest first.

    :param ranks: places in order
    """
    good = [it for it in ranks if it.will_do]
    scores = proximity.scores(
        [it.latency.cost_ms for it in good],
        settings.rtt_horizon_ms,
        settings.rtt_band_ms,
    )
    return [
        it
        for it, score in zip(good, scores, strict=True)
        if score == max(scores)
    ]
