# SPDX-License-Identifier: Apache-2.0
"""What an edge site, or a tenant, may write, as far as Nova lets it."""

import logging

import fixtures
from hypothesis import strategies as st

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

# The longest line has five problems, each with all names that are known.
_LONGEST_LINE = 4000


class Lines(fixtures.Fixture):
    """Keeps what is logged, line by line."""

    def _setUp(self):
        self._kept = []
        handler = logging.Handler()
        handler.emit = self._kept.append
        logger = logging.getLogger('edge_filters')
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)

    def check(self, test, most=None):
        """Check that each is one line, short and plain; forget them.

        :param most: how many there may be; None: any number
        """
        if most is not None:
            test.assertLessEqual(len(self._kept), most)
        for record in self._kept:
            line = record.getMessage()
            test.assertIsNone(record.exc_info, line)
            test.assertTrue(line.isprintable(), line)
            test.assertLess(len(line), _LONGEST_LINE)
        self._kept.clear()
