# SPDX-License-Identifier: Apache-2.0
"""WHICH FIGURES ARE THERE? One for each origin and site, or host of a site."""

import collections.abc
import typing

from edge_filters import proximity
from edge_filters.latency import sample
from edge_filters.osc import lookup

# What is shown as the source of a figure that a map file has.
MAP_FILE = 'map file'


class Row(typing.NamedTuple):
    """A figure, and where it is one of.

    :param host: the host, in lower case; empty: it is of the whole site
    :param age_s: how old it is; None: it does not age
    :param state: measured, stale or unreachable
    :param source: by what it was measured; None: nobody says so
    """

    origin: str
    site: str
    host: str
    figure: sample.Sample
    age_s: int | None
    state: proximity.Provenance
    source: str | None


_Figures = collections.abc.Mapping[str, sample.Sample]


def rows(
    world: lookup.World,
    sites: collections.abc.Iterable[str],
    now: float,
) -> collections.abc.Iterator[Row]:
    """Yield the figures of sites.

    Those of a map file come where no aggregate has one, as for the scheduler.

    :param now: the time, in seconds since the epoch
    """
    max_age_s = world.settings.max_age_s
    mapped = world.snapshot.mapped
    for site in sites:
        records = world.snapshot.sites[site].values()
        by_host: dict[str, list[_Figures]] = {'': []}
        for record in records:
            by_host[''].append(record.samples)
            for host, figures in record.host_samples.items():
                by_host.setdefault(host, []).append(figures)
        for host in mapped.host_samples and {
            host for record in records for host in record.hosts
        }:
            by_host.setdefault(host, [])
        for host, listed in by_host.items():
            for figures in listed:
                for origin, figure in figures.items():
                    yield _row(origin, site, host, figure, now, max_age_s)
            more = mapped.host_samples if host else mapped.samples
            for origin, figure in more.get(host or site, {}).items():
                if not any(origin in figures for figures in listed):
                    row = _row(origin, site, host, figure, now, max_age_s)
                    yield row._replace(source=MAP_FILE)


def source(world: lookup.World, verdict: proximity.Verdict) -> str | None:
    """Return by what the figure of a verdict was measured; None: nobody knows.

    A verdict may have no figure.
    """
    figure, (sites, host) = verdict.figure, verdict.place
    if figure is None:
        return None
    if figure.source is not None:
        return figure.source
    mapped, origin = world.snapshot.mapped, verdict.whence
    for site in sites:
        is_listed = any(
            origin in record.samples
            or origin in record.host_samples.get(host, ())
            for record in world.snapshot.sites[site].values()
        )
        in_file = mapped.host_samples.get(host, {}).get(origin)
        in_file = in_file or mapped.samples.get(site, {}).get(origin)
        if not is_listed and figure == in_file:
            return MAP_FILE
    return None


def _row(
    origin: str,
    site: str,
    host: str,
    figure: sample.Sample,
    now: float,
    max_age_s: float,
) -> Row:
    state = proximity.Provenance.MEASURED
    if figure.is_stale(now, max_age_s):
        state = proximity.Provenance.STALE
    elif figure.is_unreachable:
        state = proximity.Provenance.UNREACHABLE
    age_s = None if figure.at is None else round(now - figure.at)
    return Row(origin, site, host, figure, age_s, state, figure.source)
