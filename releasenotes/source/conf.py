# SPDX-License-Identifier: Apache-2.0

project = 'Edge Filters Release Notes'
copyright = '2026, OpenStack Foundation'
# Release notes are of every version.
release = ''
version = ''

extensions = [
    'openstackdocstheme',
    'reno.sphinxext',
]

html_theme = 'openstackdocs'
openstackdocs_repo_name = 'openstack/edge-filters'
openstackdocs_auto_name = False
pygments_style = 'native'
