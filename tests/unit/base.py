# SPDX-License-Identifier: Apache-2.0
"""What all unit tests share."""

import os

import hypothesis
from oslotest import base

hypothesis.settings.register_profile(
    'local', deadline=None, max_examples=200, database=None
)
hypothesis.settings.register_profile(
    'ci', hypothesis.settings.get_profile('local'), derandomize=True
)
hypothesis.settings.load_profile('ci' if os.environ.get('CI') else 'local')


class TestCase(base.BaseTestCase):
    """A test whose docstring is the rule it holds."""
