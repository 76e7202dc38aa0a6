# SPDX-License-Identifier: Apache-2.0

import hypothesis
from hypothesis import strategies as st
from nova import exception
from nova.scheduler import filters
from nova.scheduler import weights

from edge_filters import ratelimit
from edge_filters.origins import request as origins_request
from edge_filters.scheduler import latency_weigher
from tests.unit import hostile
from tests.unit.scheduler import base
from tests.unit.scheduler import test_request_filter

HOSTS = ('h0', 'H1', 'h2', 'h3')

AGGREGATES = st.tuples(
    st.builds(
        dict.__or__,
        st.dictionaries(hostile.KEYS, hostile.TEXTS, max_size=12),
        st.sampled_from(('par-01', 'lyo-01', 'paris')).map(
            lambda name: {'edge:site': name}
        )
        | st.builds(lambda name: {'edge:site': name}, hostile.TEXTS),
    ),
    st.lists(st.sampled_from(HOSTS), max_size=4, unique=True),
)

# Of one request, in the log: of a move what is wrong with five of its hints
# and five of its addresses, with its origin and its budget, and a few more.
_LINES = 16
NAMES = st.text(max_size=99) | st.sampled_from(
    (*origins_request.VOCABULARY, 'EDGE:Origin ', 'edge:\nINFO forged')
)
VALUES = st.recursive(
    hostile.TEXTS
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=9)
    | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=20,
)
HINTS = st.dictionaries(NAMES, VALUES, max_size=6)
# Those that get past the reading, to the rules.
READ = st.fixed_dictionaries(
    {},
    optional={
        'edge:origin': st.just(['paris', 'lyon']),
        'edge:near': st.just(['48.85,2.35']),
        'edge:client_ip': st.just(['192.0.2.1']),
        'edge:max_rtt_ms': st.sampled_from((['9'], ['1e99'])),
        'edge:max_loss_pct': st.just(['1']),
        'edge:unmeasured': st.sampled_from((['accept'], ['estimate'])),
        'edge:fallback': st.just(['nearest']),
    },
)


class HostileTest(test_request_filter.RequestFilterTestCase):
    """What edge sites and tenants write, through all that is ours in Nova."""

    def setUp(self):
        super().setUp()
        self.lines = self.useFixture(hostile.Lines())

    def schedule(self, spec):
        """Have Nova decide on a server; return the scores of all hosts."""
        try:
            self.process(spec)
        except exception.RequestFilterFailed as error:
            self.assertTrue(error.message.isprintable(), error.message)
            self.assertLess(len(error.message), 256)
        enabled = base.nova.conf.CONF.filter_scheduler.enabled_filters
        filters.HostFilterHandler().get_filtered_objects(
            [test_request_filter.CLASSES[name]() for name in enabled],
            base.host_states(*HOSTS),
            spec,
        )
        return latency_weigher.EdgeLatencyWeigher().weigh_objects(
            [weights.WeighedHost(it, 0) for it in base.host_states(*HOSTS)],
            spec,
        )

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(
        st.lists(AGGREGATES, max_size=4),
        HINTS | READ,
        st.dictionaries(NAMES, hostile.TEXTS, max_size=3) | st.just({}),
        st.booleans(),
        st.sampled_from(('none', 'figures', 'names')),
    )
    def test_whatever_is_written(self, sites, hints, specs, is_move, details):
        """Nothing raises, and a line of the log is one, short and plain.

        A request has a few: of the query, of each filter, of the weigher.
        """
        self.log.reset_output()
        self.watch._warnings = ratelimit.RateLimit()
        self.set_options(refusal_details=details)
        self.set_world(*sites, others=HOSTS)
        spec = (base.move_spec if is_move else base.request_spec)()
        self.lines.check(self)
        # What the database has Nova does not check when it reads it.
        spec._obj_scheduler_hints = hints
        spec.flavor._obj_extra_specs = specs
        scores = self.schedule(spec)
        self.assertTrue(all(0 <= it <= 1 for it in scores), scores)
        self.lines.check(self, most=_LINES)
