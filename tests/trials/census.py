# SPDX-License-Identifier: Apache-2.0
"""WHAT BECAME OF THE SERVERS? Counts of a trial, from what was recorded."""

import collections
import dataclasses

# Refused: calls. Mute: in ERROR without a reason; unplaced: and without a
# host or an allocation. Lost: there is no such server, though Nova said that
# there will be.
COUNTED = (
    'refused',
    'active',
    'error',
    'mute',
    'mute_unplaced',
    'stuck',
    'lost',
)
# Those of servers that are up, where somebody knows of budgets.
JUDGED = ('outside', 'stale')

# A reason that edge-filters gives.
NO_SITE = 'no site will do'

# What Nova calls a server that is neither up nor given up.
_UNFINISHED = 'BUILD'


@dataclasses.dataclass(frozen=True)
class Boot:
    """A server that was asked for.

    :ivar name: by which it is found, even if no answer came
    :ivar origin: None: it says nothing about the edge
    :ivar max_rtt_ms: None: it has no budget
    :ivar sent: seconds since the epoch
    :ivar status: of HTTP; 0: no answer came
    """

    name: str
    origin: str | None
    max_rtt_ms: float | None
    sent: float
    status: int


def count(boots, servers, allocations, decisions, record, site_of):
    """Count what became of the servers that were asked for.

    :param boots: all that were asked for
    :param servers: all that there are, as Nova's API has them
    :param allocations: the consumers that Placement has, by host
    :param decisions: what the schedulers said, by server; None: nobody knows
        of budgets here
    :param record: figures.Record
    :param site_of: the site of each host
    :returns: counts by name; None of what nobody could judge
    """
    by_name = {it['name']: it for it in servers}
    allocated = {it for its in allocations.values() for it in its}
    counts = dict.fromkeys(COUNTED, 0)
    judged = collections.Counter(dict.fromkeys(JUDGED, 0))
    for boot in boots:
        refused = not 200 <= boot.status < 300
        counts['refused'] += refused
        server = by_name.get(boot.name)
        if server is None:
            counts['lost'] += not refused
            continue
        counts[_state(server)] += 1
        counts['mute_unplaced'] += (
            _state(server) == 'mute'
            and not host_of(server)
            and server['id'] not in allocated
        )
        if decisions is not None and _state(server) == 'active':
            site = site_of.get(host_of(server))
            judged[_judge(boot, server, site, decisions, record)] += 1
    counts |= {it: None if decisions is None else judged[it] for it in JUDGED}
    counts['leaked'] = len(leaked(servers, allocations))
    return counts


def reasons(boots, servers):
    """Count the reasons that servers in ERROR have, by their first words."""
    names = {boot.name for boot in boots}
    return dict(
        collections.Counter(
            _kind(server['fault']['message'])
            for server in servers
            if server['name'] in names and _state(server) == 'error'
        )
    )


def _kind(message):
    if 'edge site' in message or 'origin' in message:
        return NO_SITE
    return ' '.join(message.split()[:4]).rstrip('.:')


def unlearned(servers, prefix, asked, rtt_ms):
    """Count the servers that were not refused for a figure that was changed.

    A refusal for any other reason does not show that the figure is known.

    :param prefix: of the names of servers that only this figure decides on
    :param asked: how many of them there should be
    :param rtt_ms: the figure, as it is now
    """
    words = f'nearest {rtt_ms:g} ms'
    return asked - sum(
        it['name'].startswith(f'{prefix}-')
        and it['status'] == 'ERROR'
        and words in str((it.get('fault') or {}).get('message'))
        for it in servers
    )


def host_of(server):
    return server.get('OS-EXT-SRV-ATTR:host') or ''


def _state(server):
    if server['status'] == _UNFINISHED:
        return 'stuck'
    if server['status'] != 'ERROR':
        return 'active'
    fault = server.get('fault') or {}
    return 'error' if str(fault.get('message') or '').strip() else 'mute'


def _judge(boot, server, site, decisions, record):
    """Return whether a server is inside or outside of its budget, or stale.

    It is *outside* if no figure that there ever was meets its budget, or if
    nobody says that it was decided on, or by what its own scheduler said of
    the site; and *stale* if no figure meets it that a scheduler could have had
    that hears of every change, or if the scheduler said another one.
    """
    if boot.max_rtt_ms is None:
        return 'inside'
    decided = decisions.get(server['id'], ())

    def meets(rtt_ms):
        return rtt_ms is not None and rtt_ms <= boot.max_rtt_ms

    # Of the others that passed the line does not say how far they are.
    said_ms = [it.rtt_ms for it in decided if it.site == site]
    if (
        site is None
        or all(it.site is None for it in decided)
        or not all(map(meets, said_ms))
        or not any(map(meets, record.ever(site, boot.origin)))
    ):
        return 'outside'
    until = max(it.when for it in decided)
    possible_ms = record.possible(site, boot.origin, boot.sent, until)
    is_fresh = any(map(meets, possible_ms)) and (
        boot.origin in record.measured or possible_ms.issuperset(said_ms)
    )
    return 'inside' if is_fresh else 'stale'


def leaked(servers, allocations):
    """Return the allocations that no server on their host has.

    A server that still moves about in BUILD may have them rightly.

    :returns: pairs of host and consumer
    """
    by_id = {server['id']: server for server in servers}

    def has_owner(host, consumer):
        server = by_id.get(consumer)
        return server is not None and (
            server['status'] == _UNFINISHED or host_of(server) == host
        )

    return [
        (host, consumer)
        for host, consumers in allocations.items()
        for consumer in consumers
        if not has_owner(host, consumer)
    ]
