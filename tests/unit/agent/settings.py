# SPDX-License-Identifier: Apache-2.0
"""The settings that tests of probes are made with."""

import dataclasses
import functools

from oslo_config import cfg

from edge_filters.conf import agent as agent_conf


@functools.cache
def _defaults():
    config = cfg.ConfigOpts()
    agent_conf.register_opts(config)
    config([], default_config_files=[], default_config_dirs=[])
    for name, value in (('site', 'here'), ('origin', ['paris 192.0.2.1'])):
        config.set_override(name, value, agent_conf.GROUP.name)
    return agent_conf.read(config)


def make(**changed):
    """Return settings that are the defaults, but for those that differ."""
    return dataclasses.replace(_defaults(), **changed)
