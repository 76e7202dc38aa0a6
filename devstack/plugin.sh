# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# plugin.sh - what of edge-filters is done in which phase of DevStack; the
# functions are in lib/edge-filters.

# shellcheck source=devstack/lib/edge-filters
source "$EDGE_FILTERS_DIR/devstack/lib/edge-filters"

case "$1 ${2:-}" in
    "stack install")
        echo_summary "Installing edge-filters"
        install_edge_filters
        ;;
    "stack post-config")
        echo_summary "Configuring edge-filters"
        configure_edge_filters
        ;;
    "stack extra")
        echo_summary "Making edge sites"
        init_edge_filters
        start_edge_filters
        ;;
    "stack test-config")
        configure_edge_filters_tempest
        ;;
    "unstack "*)
        stop_edge_filters
        ;;
    "clean "*)
        cleanup_edge_filters
        ;;
esac
