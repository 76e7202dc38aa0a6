# SPDX-License-Identifier: Apache-2.0
"""CAN THE FIGURES BE TRUE? Those that are old, ahead, or contradict others."""

import collections.abc

from edge_filters import spelling
from edge_filters.latency import metadata
from edge_filters.latency import sample
from edge_filters.osc import columns
from edge_filters.osc import finding
from edge_filters.osc import lookup

# Which share of the figures of a site that age may be stale: now and then one
# is missed.
_MAX_STALE = 0.2

# How far two figures of one thing may be apart, in milliseconds and as a share
# of the larger: the one is rtt_band_ms, within which sites count as equally
# near, the other is what a route or a busy link adds from one day to the next.
_TOLERANCE_MS = 2.0
_TOLERANCE = 0.2

_Findings = collections.abc.Iterator[finding.Finding]


def findings(world: lookup.World, now: float, max_age_s: float) -> _Findings:
    """Yield what is wrong with the figures.

    :param now: the time, in seconds since the epoch
    :param max_age_s: from which age on a figure is stale
    """
    yield from _between(world)
    for name in world.snapshot.sites:
        found = world.site(name)
        yield from _of_clocks(name, found, now, max_age_s)
        if len(found) > 1:
            yield from _of_aggregates(name, found)


def _between(world: lookup.World) -> _Findings:
    """Yield the figures between two sites that cannot be used or true."""
    sites = world.snapshot.sites
    figures: dict[tuple[str, str], sample.Sample] = {}
    for name, records in sites.items():
        for record in records.values():
            for other, figure in record.site_samples.items():
                pair = (name, other)
                figures[pair] = sample.worst(figure, figures.get(pair, figure))
    for (name, other), figure in figures.items():
        if other not in sites:
            yield finding.Finding(
                'site-rtt-unread',
                name,
                f'has {metadata.SITE_RTT}{other}, and there is no such site',
                'create that site, or openstack aggregate unset --property '
                '<key> <aggregate>',
            )
        back = figures.get((other, name))
        if name < other and back is not None and _differ(figure, back):
            yield finding.Finding(
                'site-rtt-asymmetric',
                name,
                f'has {metadata.SITE_RTT}{other} of {_shown(figure)}, and '
                f'back it is {_shown(back)}: the worse counts',
                'measure both anew, or keep one of the two keys',
            )


def _differ(*figures: sample.Sample) -> bool:
    """Return whether figures of one thing are too far apart."""
    rtts_ms = [it.rtt_ms for it in figures if it.rtt_ms is not None]
    if len(rtts_ms) < len(figures):
        return bool(rtts_ms)
    largest = max(rtts_ms)
    return largest - min(rtts_ms) > max(_TOLERANCE_MS, _TOLERANCE * largest)


def _shown(figure: sample.Sample) -> str:
    if figure.rtt_ms is None:
        return 'unreachable'
    bound = '>' if figure.kind is sample.Kind.BOUND else ''
    return f'{bound}{figure.rtt_ms:g} ms'


def _of_clocks(
    name: str, found: lookup.Found, now: float, max_age_s: float
) -> _Findings:
    figures = [it for _, record in found for it in _by_key(record).values()]
    ages_s = [(now - it.at, it.source) for it in figures if it.at is not None]
    ahead = [it for it in ages_s if it[0] < -sample.CLOCK_TOLERANCE_S]
    if ahead:
        sources = sorted({source for _, source in ahead if source})
        by = f' (by {spelling.listed(sources)})' if sources else ''
        yield finding.Finding(
            'clock-ahead',
            name,
            f'has {len(ahead)} of {len(figures)} figures{by} from up to '
            f'{-min(ahead)[0]:.0f} s ahead of the clock here: they are stale',
            'set the clock of what measures, or of this machine',
        )
    old_s = [age_s for age_s, _ in ages_s if age_s > max_age_s]
    if len(old_s) > _MAX_STALE * len(ages_s):
        oldest = columns.Age(round(max(old_s))).human_readable()
        yield finding.Finding(
            'figures-stale',
            name,
            f'has stale figures, {len(old_s)} of {len(ages_s)} that age, the '
            f'oldest of {oldest}: for a budget they are not measured',
            'see whether what measures still runs',
        )


def _by_key(record: metadata.SiteRecord) -> dict[str, sample.Sample]:
    """Return all figures of an aggregate, by their keys."""
    by_key: dict[str, sample.Sample] = {}
    for origin, figure in record.samples.items():
        by_key[metadata.rtt_key(origin)] = figure
    for site, figure in record.site_samples.items():
        by_key[f'{metadata.SITE_RTT}{site}'] = figure
    for host, figures in record.host_samples.items():
        for origin, figure in figures.items():
            by_key[metadata.rtt_key(origin, host)] = figure
    if record.default is not None:
        by_key[metadata.RTT_DEFAULT] = record.default
    return by_key


def _of_aggregates(name: str, found: lookup.Found) -> _Findings:
    """Yield in what the aggregates of one site contradict each other."""
    told: dict[str, list[tuple[str, str]]] = {}
    figures: dict[str, list[tuple[str, sample.Sample]]] = {}
    for aggregate, record in found:
        for what, value in _told(record, aggregate.metadata):
            told.setdefault(what, []).append((aggregate.name, value))
        for key, figure in _by_key(record).items():
            figures.setdefault(key, []).append((aggregate.name, figure))
    for what, values in told.items():
        if len({value for _, value in values}) > 1:
            yield finding.Finding(
                'site-contradicts',
                name,
                f'has more than one {what}: {_listed(values)}',
                f'openstack edge site set writes one {what} into all',
            )
    for key, its in figures.items():
        if _differ(*(figure for _, figure in its)):
            shown = [(where, _shown(figure)) for where, figure in its]
            yield finding.Finding(
                'figures-contradict',
                name,
                f'has more than one {key}: {_listed(shown)}; the worse counts',
                'keep it in one: openstack aggregate unset --property <key> '
                '<aggregate>',
            )


def _told(
    record: metadata.SiteRecord,
    written: collections.abc.Mapping[str, str],
) -> collections.abc.Iterator[tuple[str, str]]:
    """Yield what an aggregate tells of its site, in words."""
    if record.tier is not None:
        yield 'tier', record.tier
    # Without a key it is active, and tells nothing.
    if any(key.strip().lower() == metadata.STATUS for key in written):
        yield 'status', record.status.name.lower()
    if record.position is not None:
        yield 'position', '{:g},{:g}'.format(*record.position)


def _listed(values: list[tuple[str, str]]) -> str:
    return spelling.listed([f'{value} in {where}' for where, value in values])
