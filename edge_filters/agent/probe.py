# SPDX-License-Identifier: Apache-2.0
"""HOW IS IT MEASURED? What a driver of ``edge_filters.probes`` is."""

import abc
import collections.abc
import threading

from edge_filters.agent import beacons
from edge_filters.agent import reading
from edge_filters.conf import agent as agent_conf
from edge_filters.latency import sample

# Of a path that has several beacons there are several.
Readings = collections.abc.Iterable[
    tuple[reading.Path, reading.Echoes | sample.Sample]
]


class Probe(abc.ABC):
    """One way of measuring; the name of its entry point is its name.

    A driver is made once for a configuration, and used by one thread.

    :param settings: what the agent is set to; of ``max_probes_per_second``,
        which all drivers share, the part that is this driver's
    :param beacons: those whose scheme is the name of this driver
    """

    def __init__(
        self,
        settings: agent_conf.Settings,
        beacons: collections.abc.Sequence[beacons.Beacon],
    ) -> None:
        self.settings = settings
        self.beacons = beacons

    @abc.abstractmethod
    def measure(self, spread_s: float, stop: threading.Event) -> Readings:
        """Measure once, and return what was seen, all of it or a part.

        What cannot be measured is logged in one sentence with a next step,
        and left out: it is unmeasured, which is neither lost nor near. It
        raises nothing on account of the network or of who answers.

        :param spread_s: the seconds that its probes are spread over
        :param stop: set when it has to return soon, with what it has
        """
