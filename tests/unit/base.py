# SPDX-License-Identifier: Apache-2.0
"""What all unit tests share."""

import functools
import os

import fixtures
import hypothesis
from oslo_config import cfg
from oslo_log import formatters
from oslo_log import log as logging
from oslotest import base

hypothesis.settings.register_profile(
    'local', deadline=None, max_examples=200, database=None
)
hypothesis.settings.register_profile(
    'ci', hypothesis.settings.get_profile('local'), derandomize=True
)
hypothesis.settings.load_profile('ci' if os.environ.get('CI') else 'local')


def oslo_log():
    """Return a fixture that keeps what is logged, as oslo.log writes it."""
    config = cfg.ConfigOpts()
    logging.register_options(config)
    config([], default_config_files=[], default_config_dirs=[])
    config.set_override('logging_default_format_string', '%(message)s')
    config.set_override('logging_context_format_string', '%(message)s')
    formatter = functools.partial(formatters.ContextFormatter, config=config)
    # Without a format it takes no formatter.
    return fixtures.FakeLogger(format='%(message)s', formatter=formatter)


class TestCase(base.BaseTestCase):
    """A test whose docstring is the rule it holds."""
