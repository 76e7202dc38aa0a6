# SPDX-License-Identifier: Apache-2.0
"""WHICH FIGURES COULD A DECISION HAVE? From what was written, and when."""

import collections
import dataclasses
import threading

# How old a change may be that a scheduler does not know yet.
SEEN_WITHIN_S = 1.0
# An answer that takes longer to fail may be of a call that Nova still makes.
_LATE_S = 5.0


@dataclasses.dataclass(frozen=True)
class Write:
    """A figure of a site that was written, or of which that was tried.

    :ivar rtt_ms: None: the figure was removed
    :ivar sent: seconds since the epoch
    :ivar replied: the same
    :ivar status: of HTTP; 0: no answer came
    """

    rtt_ms: float | None
    sent: float
    replied: float
    status: int = 200

    @property
    def is_done(self):
        return 200 <= self.status < 300

    @property
    def may_be_done(self):
        """Whether it is done, or nobody knows."""
        return self.is_done or self.status == 0 or self.status >= 500

    @property
    def may_come_late(self):
        """Whether it may be done after it was given up."""
        return not self.status and self.replied - self.sent > _LATE_S


def possible(writes, since, until, seen_within_s=SEEN_WITHIN_S):
    """Return the figures that a decision could have.

    :param writes: all of one site and origin, as they were sent
    :param since: when what decides began to look, or earlier; seconds since
        the epoch
    :param until: when it had decided
    :param seen_within_s: how long a scheduler may not know what is written;
        0: the figures that were in the database
    :returns: a set of RTTs in ms; None in it: it may have been unknown
    """
    known = {None}
    late = set()
    for write in writes:
        if write.sent > until:
            break
        if not write.may_be_done:
            continue
        if write.may_come_late:
            late.add(write.rtt_ms)
        elif write.is_done and write.replied + seen_within_s <= since:
            known = {write.rtt_ms}
        else:
            known = known | {write.rtt_ms}
    return known | late


class Record:
    """What was written into every site, for any number of threads.

    :param measured: the origins whose figures an agent writes, too
    """

    def __init__(self, measured=()):
        self.measured = frozenset(measured)
        self._lock = threading.Lock()
        self._writes = collections.defaultdict(list)

    def add(self, site, origin, write):
        with self._lock:
            self._writes[site, origin].append(write)

    def remove_site(self, site, sent, replied):
        """Note that a site has no figures any more."""
        with self._lock:
            for (its_site, _), writes in self._writes.items():
                if its_site == site:
                    writes.append(Write(None, sent, replied))

    def possible(
        self, site, origin, since, until, seen_within_s=SEEN_WITHIN_S
    ):
        """Return what :func:`possible` says of a site and an origin."""
        with self._lock:
            return possible(
                list(self._writes.get((site, origin), ())),
                since,
                until,
                seen_within_s,
            )

    def ever(self, site, origin):
        """Return every figure that there may have been."""
        return self.possible(site, origin, float('-inf'), float('inf'), 0.0)
