# SPDX-License-Identifier: Apache-2.0
"""WHAT IS A USER TOLD WHEN NO SITE WILL DO? A sentence, short enough.

Nova keeps the reason of a refusal with the server, as its fault, and cuts it.
What of the sites a user may read there is for the operator to say.
"""

import collections.abc
import dataclasses

from edge_filters import proximity
from edge_filters import spelling
from edge_filters.origins import request as origins_request

# What Nova leaves of 255 characters after its own words.
MAX_CHARS = 211

# How many sites that are closed are named.
_NAMED = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Outlook:
    """What the rules say of one place.

    :param site: whether the server may run at its sites
    :param latency: whether it is near enough
    :param status: why nothing may come there, in a word; empty: it is open,
        or the server may not run there anyway
    """

    site: proximity.Verdict
    latency: proximity.Verdict
    status: str = ''


def shorten(text: str) -> str:
    """Return a text that Nova does not cut."""
    if len(text) <= MAX_CHARS:
        return text
    return text[: MAX_CHARS - 3] + '...'


def no_site(
    request: origins_request.Request,
    outlooks: collections.abc.Iterable[Outlook],
    details: str,
) -> str:
    """Return why there is no site for a server.

    :param outlooks: of the places that there are
    :param details: what it may tell of sites: 'none', 'figures' or 'names'
    """
    wanted = f'No edge site{_wanted(request, details)}'
    if details == 'none':
        return shorten(wanted)
    outlooks = list(outlooks)
    reasons = [
        *_nearest(outlooks, details == 'names'),
        *_closed(outlooks, details == 'names'),
        *_unknown(outlooks),
    ]
    if not any(it.site.passes or it.status for it in outlooks):
        reasons = ['there is no such site']
    # The reason comes first; of the rest there is as much as fits.
    while reasons:
        text = f'{wanted}: {"; ".join(reasons)}'
        if len(text) <= MAX_CHARS:
            return text
        reasons.pop()
    return shorten(wanted)


def no_room(
    request: origins_request.Request,
    nearest: proximity.Verdict,
    count: int,
    details: str,
) -> str:
    """Return why there is no host for a server at the sites that would do.

    :param nearest: the verdict on the nearest of them
    :param count: how many there are
    """
    sites = 'an edge site'
    if details != 'none':
        sites = (
            'the one edge site' if count == 1 else f'the {count} edge sites'
        )
    wanted = (
        'No host with room for the server, and with all that it requires, at '
        f'{sites}{_wanted(request, details)}'
    )
    text = f'{wanted}: nearest {_site(nearest, details == "names")}'
    if details == 'none' or not _has_figure(nearest):
        return shorten(wanted)
    return text if len(text) <= MAX_CHARS else shorten(wanted)


def _wanted(request: origins_request.Request, details: str) -> str:
    """Return what a server asks of a site, in words after 'site'."""
    words = ''
    if request.sites is not None:
        names = spelling.listed(sorted(request.sites))
        words += f' among {names or "none (hint and flavor differ)"}'
    if request.tiers is not None:
        names = spelling.listed(sorted(request.tiers))
        words += f' of tier {names or "none (hint and flavor differ)"}'
    if request.avoid_sites:
        words += ' but those to be avoided'
    users = _users(request, details)
    if not users:
        return words
    limits = []
    if request.max_rtt_ms is not None:
        limits.append(f'{request.max_rtt_ms:g} ms')
    if request.max_jitter_ms is not None:
        limits.append(f'jitter {request.max_jitter_ms:g} ms')
    if request.max_loss_pct is not None:
        limits.append(f'loss {request.max_loss_pct:g} %')
    if limits:
        return f'{words} within {", ".join(limits)} of {users}'
    is_strict = request.unmeasured in ('reject', 'estimate')
    how = 'measured' if is_strict else 'reachable'
    return f'{words} {how} from {users}'


def _users(request: origins_request.Request, details: str) -> str:
    """Return whence its users come, in words; empty: nobody knows.

    An origin that an address or the table of projects led to may have the
    name of a site.
    """
    origins = request.origins
    if details != 'names':
        origins = tuple(
            it for it in origins if it not in request.hidden_origins
        )
    users = [
        *(f'origin {name}' for name in origins),
        *(f'position {at[0]:g},{at[1]:g}' for at in request.near),
    ]
    count = len(request.origins) + len(request.near)
    if count and not users:
        return 'its users'
    more = f' and {count - 1} more' if count > 1 else ''
    return users[0] + more if users else ''


def _nearest(
    outlooks: list[Outlook], has_names: bool
) -> collections.abc.Iterator[str]:
    """Yield what is wrong with the nearest site that may be."""
    verdict = min(
        (
            it.latency
            for it in outlooks
            if it.site.passes and it.latency.cost_ms is not None
        ),
        key=proximity.distance,
        default=None,
    )
    if verdict is None:
        return
    reason = f'nearest {_site(verdict, has_names)}'
    if not verdict.why.startswith('over '):
        reason += f', {verdict.why}'
    yield reason


def _closed(
    outlooks: list[Outlook], has_names: bool
) -> collections.abc.Iterator[str]:
    """Yield which sites would do, if they were open."""
    closed: dict[tuple[str, ...], Outlook] = {}
    for outlook in sorted(
        (it for it in outlooks if it.status and it.latency.passes),
        key=lambda it: (proximity.distance(it.latency), it.latency.place),
    ):
        closed.setdefault(outlook.latency.place.sites, outlook)
    for outlook in list(closed.values())[:_NAMED]:
        site = _site(outlook.latency, has_names)
        if not has_names:
            site = f'one at {site}' if site else 'one'
        yield f'{site} is {outlook.status}'
    if len(closed) > _NAMED:
        yield f'{len(closed) - _NAMED} more closed'


def _unknown(
    outlooks: list[Outlook],
) -> collections.abc.Iterator[str]:
    """Yield how many sites are not measured, or cannot be reached."""
    for provenance, words in (
        (proximity.Provenance.UNMEASURED, 'not measured'),
        (proximity.Provenance.UNREACHABLE, 'unreachable'),
    ):
        sites = {
            it.latency.place.sites
            for it in outlooks
            if it.site.passes and it.latency.provenance is provenance
        }
        if sites:
            yield f'{len(sites)} {words}'


def _site(verdict: proximity.Verdict, has_names: bool) -> str:
    """Return the names of a site, its figure, or both; it may have none."""
    figure = verdict.shown_figure if _has_figure(verdict) else ''
    names = spelling.listed(verdict.place.sites, ' and ')
    return f'{names} {figure}'.strip() if has_names else figure


def _has_figure(verdict: proximity.Verdict) -> bool:
    """Return whether it says how far the users are."""
    return bool(verdict.whence) and verdict.cost_ms is not None
