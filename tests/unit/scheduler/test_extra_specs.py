# SPDX-License-Identifier: Apache-2.0

from nova import exception
from nova.api.validation.extra_specs import validators

from tests.unit import base


class ExtraSpecsTest(base.TestCase):
    """Through Nova's own registry, which finds us by our entry point."""

    def test_accepted(self):
        """Every name of the vocabulary is accepted with a fitting value."""
        for name, value in (
            ('edge:origin', 'paris'),
            ('edge:origin', 'paris, lyon'),
            ('edge:max_rtt_ms', '12.5'),
            ('edge:site', 'par-01'),
            ('edge:avoid_site', 'par-01,lyo-01'),
            ('edge:tier', 'far-edge,core'),
            ('edge:site', ','.join(['par-01'] * 16)),
            ('edge:max_jitter_ms', '1'),
            ('edge:max_loss_pct', '0.1'),
            ('edge:unmeasured', 'estimate'),
            ('edge:fallback', 'Nearest'),
        ):
            validators.validate(name, value)

    def test_refused(self):
        """Other names, and values that cannot be read, are refused."""
        for name, value in (
            ('edge:bogus', '1'),
            ('edge:rtt:paris', '1'),
            ('edge:max_rtt_ms', 'abc'),
            ('edge:max_rtt_ms', '-1'),
            ('edge:max_rtt_ms', '1,2'),
            ('edge:origin', ''),
            ('edge:origin', 'paris,'),
            ('edge:site', 'par 01'),
            ('edge:site', ','.join(['par-01'] * 17)),
            ('edge:near', '48.85,2.35'),
            ('edge:unmeasured', 'guess'),
            ('edge:fallback', 'none,moves'),
        ):
            self.assertRaises(
                exception.ValidationError, validators.validate, name, value
            )
