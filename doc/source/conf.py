# SPDX-License-Identifier: Apache-2.0

project = 'edge-filters'
copyright = '2026, OpenStack Foundation'

extensions = [
    'openstackdocstheme',
    'oslo_config.sphinxext',
]

html_theme = 'openstackdocs'
openstackdocs_repo_name = 'openstack/edge-filters'
openstackdocs_auto_name = False
pygments_style = 'native'
