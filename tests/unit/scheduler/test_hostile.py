# SPDX-License-Identifier: Apache-2.0

import logging

import hypothesis
from hypothesis import strategies as st
from nova import exception
from nova.scheduler import filters
from nova.scheduler import weights

from edge_filters import ratelimit
from edge_filters.origins import request as origins_request
from edge_filters.scheduler import latency_weigher
from tests.unit.scheduler import base
from tests.unit.scheduler import test_request_filter

HOSTS = ('h0', 'H1', 'h2', 'h3')

# What is no number, but to Python; what steers a terminal; what makes a line.
ODD = (
    *('inf', 'nan', '1e999', '1e99', '1e-99', '-1', '-0', '0x10', '1_0', '>5'),
    *('\u0661\u0662', '- loss=100', '5 loss=100 n=20', '5 by=x\x1b[2J'),
    *('5 at=9998-12-31T23:59:59Z', '5 at=1970-01-01T00:00:00+23:59'),
    *('paris\nINFO forged', 'paris\r', 'par\x00is', '\u202esirap', '\u2028'),
    *('\u212a', '\u0130', 'x' * 255, '9' * 255, '5 ' + 'a=b ' * 63),
    *('0.0.0.0/0', '::/0', '::ffff:192.0.2.1', 'fe80::1%eth0', '192.0.2.1'),
    *('paris', 'par-01', 'inactive', 'accept', 'nearest', '48.85,2.35'),
)
TEXTS = st.sampled_from(ODD) | st.text(max_size=255)
KEYS = st.text(max_size=255) | st.sampled_from(
    (
        *('Edge:Site', 'edge:tier', 'edge:status', 'EDGE:STATUS', 'edge:'),
        *('edge:latitude', 'edge:longitude', 'edge:prefixes', 'edge:a\nb'),
        *('edge:rtt:paris', 'edge:rtt:lyon', 'edge:rtt:', 'edge:rtt_default'),
        *('edge:host_rtt:h0:paris', 'edge:host_rtt:h9:paris'),
        *('edge:site_rtt:par-01', 'edge_latency_weight_multiplier'),
    )
)
AGGREGATES = st.tuples(
    st.builds(
        dict.__or__,
        st.dictionaries(KEYS, TEXTS, max_size=12),
        st.sampled_from(('par-01', 'lyo-01', 'paris')).map(
            lambda name: {'edge:site': name}
        )
        | st.builds(lambda name: {'edge:site': name}, TEXTS),
    ),
    st.lists(st.sampled_from(HOSTS), max_size=4, unique=True),
)

NAMES = st.text(max_size=99) | st.sampled_from(
    (*origins_request.VOCABULARY, 'EDGE:Origin ', 'edge:\nINFO forged')
)
VALUES = st.recursive(
    TEXTS
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

# The longest line has five problems, each with all names that are known.
LONGEST_LINE = 4000


class Lines(logging.Handler):
    """Keeps what is logged, line by line."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def emit(self, record):
        self.kept.append((record.getMessage(), record.exc_info))


class HostileTest(test_request_filter.RequestFilterTestCase):
    """What edge sites and tenants write, through all that is ours in Nova."""

    def setUp(self):
        super().setUp()
        self.lines = Lines()
        logger = logging.getLogger('edge_filters')
        logger.addHandler(self.lines)
        self.addCleanup(logger.removeHandler, self.lines)

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
        st.dictionaries(NAMES, TEXTS, max_size=3) | st.just({}),
        st.booleans(),
        st.sampled_from(('none', 'figures', 'names')),
    )
    def test_whatever_is_written(self, sites, hints, specs, is_move, details):
        """Nothing raises, and a line of the log is one, short and plain."""
        self.lines.kept.clear()
        self.log.reset_output()
        self.watch._warnings = ratelimit.RateLimit()
        self.set_options(refusal_details=details)
        self.set_world(*sites, others=HOSTS)
        spec = (base.move_spec if is_move else base.request_spec)()
        # What the database has Nova does not check when it reads it.
        spec._obj_scheduler_hints = hints
        spec.flavor._obj_extra_specs = specs
        scores = self.schedule(spec)
        self.assertTrue(all(0 <= it <= 1 for it in scores), scores)
        for line, error in self.lines.kept:
            self.assertIsNone(error, line)
            self.assertTrue(line.isprintable(), line)
            self.assertLess(len(line), LONGEST_LINE)
