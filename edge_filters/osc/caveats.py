# SPDX-License-Identifier: Apache-2.0
"""WHAT IS OTHERWISE IN NOVA? Why it may not go by what the rules say."""

import argparse
import collections.abc

from edge_filters import spelling
from edge_filters.latency import metadata
from edge_filters.osc import lookup
from edge_filters.osc import nova_conf

_FILTERS = ('EdgeSiteFilter', 'EdgeLatencyFilter')


def of(
    world: lookup.World, given: argparse.Namespace
) -> collections.abc.Iterator[str]:
    """Yield what has to be said before what the rules say, in sentences."""
    settings = world.settings
    if settings.mode != 'enforce':
        yield f'[edge_filters] mode is {settings.mode}: Nova ignores all this'
    elif settings.edge_latency_weight_multiplier <= 0:
        yield (
            'edge_latency_weight_multiplier is '
            f'{settings.edge_latency_weight_multiplier:g}: Nova does not '
            'prefer what is near'
        )
    if given.config_files:
        enabled = nova_conf.read_enabled_filters(given.config_files)
        missing = [it for it in _FILTERS if it not in enabled]
        if missing:
            yield f'Not among enabled_filters: {spelling.listed(missing)}'
    names = [
        it.name
        for it in world.sites.aggregates.values()
        if metadata.MULTIPLIER in it.metadata
    ]
    if names:
        yield (
            f'Aggregates have an {metadata.MULTIPLIER} of their own, which '
            f'may change the order: {spelling.listed(names)}'
        )
