# SPDX-License-Identifier: Apache-2.0
"""WHAT IS DECIDED FOR ONE REQUEST? Nova's request meets the rules."""

import collections.abc
import time
import typing

from nova.scheduler import utils
from oslo_log import log as logging

from edge_filters import proximity
from edge_filters.latency import snapshot as latency_snapshot
from edge_filters.origins import request as origins_request
from edge_filters.scheduler import nova_compat
from edge_filters.scheduler import ratelimit

LOG = logging.getLogger(__name__)

_WARNINGS = ratelimit.RateLimit()


class Decision:
    """The verdicts for one request, all from one snapshot.

    :param spec: Nova's RequestSpec
    :param max_age_s: age in seconds from which a figure is stale
    """

    def __init__(self, spec: typing.Any, max_age_s: float) -> None:
        self._snapshot = nova_compat.snapshot()
        self._now = time.time()
        self._max_age_s = max_age_s
        self._site_verdicts: _Verdicts = {}
        self._latency_verdicts: _Verdicts = {}
        is_move = _is_move(spec)
        request = origins_request.parse(_hints(spec), _extra_specs(spec))
        if not request.asks_nothing:
            request = proximity.settle(request, self._snapshot, is_move)
        self.request = request
        if is_move and request.problems:
            _warn(spec, request)
        self.is_refused = bool(request.problems) and not is_move

    def judge_site(self, host: str) -> proximity.Verdict:
        """Return whether the server may run at the site of a host."""
        place = self._snapshot.place(host)
        verdict = self._site_verdicts.get(place)
        if verdict is None:
            verdict = proximity.judge_site(self.request, place)
            self._site_verdicts[place] = verdict
        return verdict

    def judge_latency(self, host: str) -> proximity.Verdict:
        """Return whether a host is near enough, and how near it is."""
        place = self._snapshot.place(host)
        verdict = self._latency_verdicts.get(place)
        if verdict is None:
            verdict = proximity.judge_latency(
                self.request,
                place,
                self._snapshot,
                self._now,
                self._max_age_s,
            )
            self._latency_verdicts[place] = verdict
        return verdict


_Verdicts = dict[latency_snapshot.Place, proximity.Verdict]


def is_rebuild(spec: typing.Any) -> bool:
    """Return whether a server is rebuilt where it is, so that it stays."""
    # Nova's own function does not survive hints of None.
    return bool(_hints(spec)) and utils.request_is_rebuild(spec)


def _hints(
    spec: typing.Any,
) -> collections.abc.Mapping[str, object] | None:
    return spec.scheduler_hints if 'scheduler_hints' in spec else None


def _extra_specs(
    spec: typing.Any,
) -> collections.abc.Mapping[str, object] | None:
    if 'flavor' not in spec or 'extra_specs' not in spec.flavor:
        return None
    extra_specs: dict[str, object] | None = spec.flavor.extra_specs
    return extra_specs


def _is_move(spec: typing.Any) -> bool:
    """Return whether an existing server is moved; no boot names a cell."""
    if 'requested_destination' not in spec:
        return False
    destination = spec.requested_destination
    return (
        destination is not None
        and 'cell' in destination
        and destination.cell is not None
    )


def _warn(spec: typing.Any, request: origins_request.Request) -> None:
    for problem in request.problems:
        if _WARNINGS.is_due((spec.instance_uuid, problem)):
            LOG.warning(
                'Server %(server)s moves without what it asked for: '
                '%(problem)s.',
                {'server': spec.instance_uuid, 'problem': problem},
            )
