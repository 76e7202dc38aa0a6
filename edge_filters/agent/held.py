# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES AN AGGREGATE HOLD? The figures in it, and whose they are."""

import collections.abc
import dataclasses
import typing

from edge_filters import cloud
from edge_filters import spelling
from edge_filters.latency import metadata
from edge_filters.latency import sample
from edge_filters.latency import sample_format


class Figure(typing.NamedTuple):
    """A figure that is published.

    :param sample: the figure
    :param agent: name of the agent that wrote it; empty: none did
    """

    sample: sample.Sample
    agent: str

    @property
    def is_by_hand(self) -> bool:
        """Whether a person wrote it: it does not age."""
        return self.sample.at is None


Figures = collections.abc.Mapping[str, Figure]


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """What the aggregate of a site holds, as it was last seen.

    :param aggregate: the aggregate
    :param site: name of the site
    :param figures: figures of the site to origins and to other sites, by key
    :param own: figures of the agent's own host, by the key that the site's
        has; None: that host is not in the aggregate
    :param default: the figure or bound for the rest; None: there is none
    :param has_users: whether users are attached to the site
    :param known: the keys of the origins that schedulers know from it
    :param every: all its figures, those of hosts and the default too
    :param seen: when it was seen, in seconds since the epoch
    """

    aggregate: cloud.Aggregate
    site: str
    figures: Figures
    own: Figures | None
    default: Figure | None
    has_users: bool
    known: frozenset[str]
    every: tuple[sample.Sample, ...]
    seen: float

    def value(self, key: str) -> str | None:
        """Return what is written under a key, whatever its case."""
        there = self.aggregate.metadata
        if key in there:
            return there[key]
        spelt = [it for it in there if metadata.fold(it) == key]
        return there[spelt[0]] if spelt else None


def read(aggregate: cloud.Aggregate, host: str, seen: float) -> Held | None:
    """Return what an aggregate holds; None: it is no site.

    :param host: the host that the agent is at, in lower case; may be empty
    :param seen: when it was seen, in seconds since the epoch
    """
    record, _ = metadata.parse_site(aggregate.metadata, aggregate.hosts)
    if record is None:
        return None
    agents = {
        metadata.fold(key): sample_format.parse_agent(value)
        for key, value in aggregate.metadata.items()
    }

    def figure(key: str, its: sample.Sample) -> Figure:
        return Figure(its, agents.get(key, ''))

    figures = {
        spelling.shared(metadata.rtt_key(name)): it
        for name, it in record.samples.items()
    }
    of_hosts = record.host_samples.values()
    known = set(figures).union(
        *(map(metadata.rtt_key, by_origin) for by_origin in of_hosts)
    )
    if record.prefixes:
        known.add(metadata.rtt_key(record.site))
    for name, it in record.site_samples.items():
        figures[spelling.shared(metadata.SITE_RTT + name)] = it
    own = {
        metadata.rtt_key(name): figure(metadata.rtt_key(name, host), it)
        for name, it in record.host_samples.get(host, {}).items()
    }
    default = record.default
    every = [*figures.values(), *([default] if default else [])]
    for by_origin in of_hosts:
        every += by_origin.values()
    return Held(
        aggregate,
        record.site,
        {key: figure(key, it) for key, it in figures.items()},
        own if host in record.hosts else None,
        default and figure(metadata.RTT_DEFAULT, default),
        bool(record.prefixes),
        frozenset(known),
        tuple(every),
        seen,
    )
