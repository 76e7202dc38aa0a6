# SPDX-License-Identifier: Apache-2.0

import threading

from smallcloud import errors
from smallcloud import steps
from tests.unit import base


class AtOnceTest(base.TestCase):
    def test_failure(self):
        """Of what is done side by side the rest ends when one has failed."""
        over = threading.Event()

        def wait():
            over.wait(20)
            raise errors.CloudError('I was told to stop.')

        def fail():
            raise errors.CloudError('no such table')

        error = self.assertRaises(
            errors.CloudError, steps.at_once, over.set, wait, fail
        )
        self.assertEqual('no such table', str(error))
