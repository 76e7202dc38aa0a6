# SPDX-License-Identifier: Apache-2.0
"""WHAT IS SAID IN SENTENCES? Where a server is, and where it would go."""

import collections.abc

from edge_filters import case
from edge_filters import conf
from edge_filters import spelling
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.osc import ranking
from edge_filters.osc import servers

Ranks = collections.abc.Sequence[ranking.Rank]
Needs = collections.abc.Mapping[str, str]


def where(
    server: servers.Server,
    decided: case.Case,
    snapshot: latency_snapshot.Snapshot,
) -> str:
    """Return where a server is, and whether that is within its budget."""
    name = spelling.shown(server.name)
    if not server.host:
        return f'Server {name} is on no host, and {server.status}.'
    verdict = decided.judge_latency(snapshot.place(server.host))
    what = 'is within its budget'
    if not decided.request.has_budget:
        what = 'has no budget'
    elif not verdict.passes:
        what = 'is out of its budget'
    why = verdict.reason
    return f'Server {name} is on {server.host}, and {what}: {why}.'


def destination(
    decided: case.Case,
    ranks: Ranks,
    settings: conf.Settings,
    here: latency_snapshot.Place | None = None,
) -> str:
    """Return where a server would go.

    :param here: where it is already; None: nowhere
    """
    chosen = ranking.choice(ranks, settings)
    if not chosen:
        full = [it for it in ranks if it.passes]
        why = f', as there is no room at {_names(full)}' if full else ''
        return f'No site will do{why}.'
    if here is not None and here in [it.place for it in chosen]:
        if not decided.has_order:
            return 'It may stay: nobody tells where its users are.'
        return 'It is where it should be: nothing nearer has room for it.'
    if len(chosen) == 1:
        return f'It would go to {_names(chosen)}.'
    why = 'which are as near'
    if not decided.has_order:
        why = 'as nobody tells where its users are'
    elif chosen[0].latency.cost_ms is None:
        why = 'how far they are nobody knows'
    return (
        f'It would go to one of {_names(chosen)}, {why}: other weighers '
        'choose.'
    )


def obstacle(ranks: Ranks, needs: collections.abc.Sequence[Needs]) -> str:
    """Return what it would take at the nearest site that fails; or nothing.

    :param needs: what each of them needs
    """
    for it, its in zip(ranks, needs, strict=True):
        if its and it.hosts and it.latency.cost_ms is not None:
            terms = ' '.join(f'{name}={value}' for name, value in its.items())
            return (
                f'The nearest that is not near enough, {_names([it])}, would '
                f'need {terms}.'
            )
    return ''


def _names(ranks: collections.abc.Iterable[ranking.Rank]) -> str:
    return spelling.listed([str(it.place) for it in ranks])
