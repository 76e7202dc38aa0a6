# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# DevStack's functions and the plugin use what is only set here.
# shellcheck disable=SC2034
#
# run.sh - phases of the plugin, as stack.sh, unstack.sh and clean.sh run them
#
# run.sh PHASE...
#
# A phase is what plugin.sh is called with, such as "stack post-config". With
# "interrupt PHASE ... after CLEANING ..." what each command of the first leaves
# in etc is kept, and the others are run on each of these. What is then not as
# before is printed, and how many there were.
#
# What local.conf would set is in the environment, with these:
#
# - SCRATCH: folder with the files of Nova in etc/nova
# - DEVSTACK_DIR: DevStack, whose functions are run; or empty
# - NOVA_BIN_DIR: where openstack is; unset: what stands in for it
# - WRITES_MEANWHILE: section, option and value that others write into nova.conf

set -o errexit
if [[ -n "$NOUNSET" ]]; then
    set -o nounset
fi

# What is copied back and forth has to be a test's own.
if [[ ! -L "${SCRATCH:?}/edge-filters" ]]; then
    echo "SCRATCH is no folder of a test: $SCRATCH" >&2
    exit 1
fi

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DEST=$SCRATCH
TOP_DIR=$SCRATCH/devstack
PATH=$HERE/bin:$PATH

if [[ -n "$DEVSTACK_DIR" ]]; then
    # shellcheck source=/dev/null
    source "$DEVSTACK_DIR/functions"
    # Called for what only a whole stack.sh has.
    function time_start { :; }
    function time_stop { :; }
    function use_library_from_git { return 1; }
    GLOBAL_VENV=True
    REQUIREMENTS_DIR=
else
    # shellcheck source=tests/unit/devstack/library.sh
    source "$HERE/library.sh"
fi

# Whoever is waited for may write as long as that.
function async_wait {
    echo "async_wait $*" >>"$SCRATCH/calls"
    if [[ -n "${WRITES_MEANWHILE:-}" ]]; then
        local words
        read -ra words <<<"$WRITES_MEANWHILE"
        iniset "$NOVA_CONF" "${words[@]}"
    fi
}

function pip_install {
    echo "pip install $*" >>"$SCRATCH/calls"
}

function sudo {
    "$@"
}

# Tests do not wait.
function sleep {
    :
}

# As stackrc, lib/nova, lib/keystone and lib/tempest have them.
ENABLED_SERVICES=${ENABLED_SERVICES-n-api,n-sch,n-cpu,key,tempest}
DISABLED_SERVICES=
HOSTNAME=stack
KEYSTONE_SERVICE_URI_V3=http://192.0.2.10/identity/v3
KILL_PATH=/bin/kill
NOVA_API_PASTE_INI=$SCRATCH/etc/nova/api-paste.ini
NOVA_BIN_DIR=${NOVA_BIN_DIR:-$HERE/bin}
NOVA_CONF=$SCRATCH/etc/nova/nova.conf
NOVA_CONF_DIR=$SCRATCH/etc/nova
NOVA_FILTERS=ComputeFilter,SameHostFilter
NOVA_MY_IP=192.0.2.10
NOVA_READY_TIMEOUT=${NOVA_READY_TIMEOUT:-60}
NUMBER_FAKE_NOVA_COMPUTE=${NUMBER_FAKE_NOVA_COMPUTE:-4}
REGION_NAME=RegionOne
SERVICE_DOMAIN_NAME=Default
SERVICE_PASSWORD=password
SSL_BUNDLE_FILE=$SCRATCH/ca-bundle.pem
STACK_USER=$(id -un)
SYSTEMCTL=systemctl
SYSTEMD_DIR=$SCRATCH/systemd
TEMPEST_CONFIG=$SCRATCH/tempest.conf
TEMPEST_PLUGINS=${TEMPEST_PLUGINS:-0}
VIRT_DRIVER=${VIRT_DRIVER:-fake}
EDGE_FILTERS_CONF_DIR=$SCRATCH/etc/edge-filters

# shellcheck source=devstack/settings
source "$DEST/edge-filters/devstack/settings"

function run_phases {
    local phase
    for phase in "$@"; do
        # shellcheck disable=SC2086
        source "$EDGE_FILTERS_DIR/devstack/plugin.sh" $phase
    done
}

# Keep what the last command has left, if it may have changed something and has.
function keep_state {
    local last=$LAST_COMMAND
    local kept=$SCRATCH/states/$COUNT
    if (( BASH_SUBSHELL != TRACED )); then
        return
    fi
    LAST_COMMAND=$BASH_COMMAND
    if [[ "$last" =~ $CHANGES ]] && \
            ! diff -r -q "$SCRATCH/etc" "$kept" >/dev/null; then
        cp -a "$SCRATCH/etc" "$SCRATCH/states/$((++COUNT))"
    fi
}

function interrupt {
    local state
    local phases=()
    while [[ "$1" != "after" ]]; do
        phases+=("$1")
        shift
    done
    shift
    CHANGES='(^|[ $])(sed|tee|install|cat|echo|printf|grep|ini[a-z]+)( |$)'
    COUNT=0
    LAST_COMMAND=
    mkdir "$SCRATCH/states"
    cp -a "$SCRATCH/etc" "$SCRATCH/states/0"
    (
        TRACED=$BASH_SUBSHELL
        set -o functrace
        trap keep_state DEBUG
        run_phases "${phases[@]}"
    ) >"$SCRATCH/interrupted" 2>&1
    for state in "$SCRATCH"/states/*; do
        mv "$SCRATCH/etc" "$state.after"
        cp -a "$state" "$SCRATCH/etc"
        (run_phases "$@") >"$SCRATCH/cleaned" 2>&1
        if ! diff -r "$SCRATCH/states/0" "$SCRATCH/etc"; then
            echo "not as before: $state"
        fi
        echo "cleaned"
    done
}

if [[ "$1" == "interrupt" ]]; then
    shift
    interrupt "$@"
else
    run_phases "$@"
fi
for name in NOVA_FILTERS TEMPEST_PLUGINS ENABLED_SERVICES; do
    echo "$name=${!name}" >>"$SCRATCH/variables"
done
