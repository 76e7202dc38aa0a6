# SPDX-License-Identifier: Apache-2.0
"""DOES THE EXPLANATION AGREE? What it says, beside what Nova did."""

import dataclasses
import re

# Sites as near as this tie: the default of [edge_filters] rtt_band_ms.
BAND_MS = 2.0
_ROUNDING_MS = 1e-6
_REFUSED = re.compile(r'Nova would refuse it: (.*)\. What may be asked ', re.S)
# Nova cuts a reason; so much of it is there.
_TOLD_CHARS = 150


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What ``openstack edge explain`` said.

    :ivar sites: those that it may be at, '' for none; empty: no site will do
    :ivar refusal: why Nova would not even look for one; empty: it would
    """

    sites: frozenset[str] = frozenset()
    refusal: str = ''


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a server.

    :ivar site: where it is, '' for none; None: it is nowhere
    :ivar reason: what its user was told, if so; None: nobody is told why a
        move is refused
    """

    site: str | None
    reason: str | None = ''


def nearest(rows):
    """Return the sites among which a server goes, by the rows of a table.

    Among those that tie, weighers that know nothing of users choose.
    """
    good = [
        it
        for it in rows
        if it['Verdict'] in ('passes', 'fallback')
        and it['Hosts']
        and it['With Room'] != 0
    ]
    costs_ms = [it['Cost ms'] for it in good if it['Cost ms'] is not None]
    if not costs_ms:
        return frozenset(it['Site'] for it in good)
    limit_ms = min(costs_ms) + BAND_MS + _ROUNDING_MS
    return frozenset(
        it['Site']
        for it in good
        if it['Cost ms'] is not None and it['Cost ms'] <= limit_ms
    )


def refusal(text):
    """Return why Nova would refuse a server; None: the command failed."""
    match = _REFUSED.search(text)
    return match and match[1]


def agrees(explained, seen):
    """Return whether a server became what was said of it."""
    if explained.sites:
        return seen.site in explained.sites
    told = explained.refusal[:_TOLD_CHARS] or 'No edge site'
    return seen.site is None and (
        # The API begins its sentences in upper case.
        seen.reason is None or told.lower() in seen.reason.lower()
    )
