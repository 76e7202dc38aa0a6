# SPDX-License-Identifier: Apache-2.0

import pathlib

from tempest import config
from tempest.test_discover import plugins

from edge_filters_tempest_plugin import config as edge_config


class EdgeFiltersTempestPlugin(plugins.TempestPlugin):
    """What Tempest asks a plugin for: its tests and its options."""

    def load_tests(self):
        here = pathlib.Path(__file__).resolve().parent
        return str(here / 'tests'), str(here.parent)

    def register_opts(self, conf):
        conf.register_opt(edge_config.SERVICE_OPT, group='service_available')
        config.register_opt_group(conf, edge_config.GROUP, edge_config.OPTS)

    def get_opt_lists(self):
        return [
            ('service_available', [edge_config.SERVICE_OPT]),
            (edge_config.GROUP.name, edge_config.OPTS),
        ]
