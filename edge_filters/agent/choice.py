# SPDX-License-Identifier: Apache-2.0
"""WHICH FIGURES ARE WORTH A KEY? Those of the nearest, and who stays.

Nova loads an aggregate as hosts x keys rows. Of the sites that are measured to
a target the nearest publish a figure, and the others what it is farther than.
"""

import collections.abc
import math

from edge_filters.agent import change
from edge_filters.latency import sample

Samples = collections.abc.Mapping[str, sample.Sample]

# How much farther down than those that come whoever is published may be, to
# stay. Nova deletes keys slowly, and the last of the nearest change places.
_STICKINESS = 1.25

# A bound is lower than the least RTT by this share or, if that is more, by
# twice the hysteresis, so that noise does not make it false.
_HEADROOM = 0.1
# A bound has three decimals.
_PARTS = 1000


def nearest(
    figures: Samples,
    published: collections.abc.Set[str],
    count: int,
    hysteresis: change.Hysteresis,
    is_strict: bool = False,
) -> list[str]:
    """Return the names of those to publish: the nearest, nearest first.

    Who is published stays while it is among the 1.25 times as many that are
    nearest, or hardly farther than the last of the nearest, or unreachable.
    Who is not published comes if it is among the nearest, and a place is free
    or one of those that stay is clearly farther. Hardly and clearly are twice
    the hysteresis, as two figures may move: what moves within it comes once,
    and goes no more.

    :param figures: what is measured, by name
    :param published: the names of those that are published already
    :param count: how many places there are
    :param is_strict: whether there are no more places even for who stays
    """
    lost = sorted(
        name
        for name, figure in figures.items()
        if figure.is_unreachable and name in published
    )
    places = max(count - len(lost), 0) if is_strict else count
    reachable = sorted(
        (figure.rtt_ms, name)
        for name, figure in figures.items()
        if figure.rtt_ms is not None
    )
    last_ms = max((it for it, _ in reachable[:places]), default=0.0)
    last_ms += 2 * hysteresis.margin_ms(last_ms)
    chosen = {
        name: rtt_ms
        for rank, (rtt_ms, name) in enumerate(reachable, 1)
        if name in published
        and (rank <= places * _STICKINESS or rtt_ms <= last_ms)
    }
    farthest_ms = max(chosen.values(), default=0.0)
    free = places - len(chosen)
    for rtt_ms, name in reachable[:places]:
        if name in chosen:
            continue
        if free > 0 or rtt_ms + 2 * hysteresis.margin_ms(rtt_ms) < farthest_ms:
            chosen[name] = rtt_ms
            free -= 1
    names = sorted(chosen, key=lambda name: (chosen[name], name))
    if is_strict:
        del names[places:]
    names += lost
    if len(names) < count:
        names += sorted(
            name
            for name, figure in figures.items()
            if figure.is_unreachable and name not in published
        )[: count - len(names)]
    return names


def bound(
    figures: Samples,
    published: collections.abc.Set[str],
    known: collections.abc.Set[str],
    hysteresis: change.Hysteresis,
) -> sample.Sample | None:
    """Return what is true of all that is known and not published at a site.

    What is unreachable is farther than anything else.

    :param figures: what is measured at the site, by origin
    :param published: the origins that are published at the site
    :param known: all origins that anybody knows
    :returns: a bound as old as the oldest figure of them; None: there are
        none, or one of them is not measured, or all are unreachable
    """
    rest = [it for name, it in figures.items() if name not in published]
    nearest = min(
        (it for it in rest if it.rtt_ms is not None),
        key=lambda it: it.rtt_ms or 0,
        default=None,
    )
    if nearest is None or not known <= published | figures.keys():
        return None
    # Rounded down: above it, it would be false.
    rtt_ms = nearest.rtt_ms or 0
    headroom_ms = max(rtt_ms * _HEADROOM, 2 * hysteresis.margin_ms(rtt_ms))
    least_ms = max(rtt_ms - headroom_ms, 0)
    return sample.Sample(
        math.floor(least_ms * _PARTS) / _PARTS,
        at=min(it.at or 0 for it in rest),
        source=nearest.source,
        kind=sample.Kind.BOUND,
    )


def is_false(
    default: sample.Sample,
    figures: Samples,
    published: collections.abc.Set[str],
) -> bool:
    """Return whether something that is measured is nearer than a bound."""
    if default.kind is not sample.Kind.BOUND or default.rtt_ms is None:
        return False
    bound_ms = default.rtt_ms
    return bound_ms > 0 and any(
        figure.rtt_ms is not None
        and figure.rtt_ms <= bound_ms
        and name not in published
        for name, figure in figures.items()
    )
