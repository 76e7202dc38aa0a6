# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# library.sh - stands in for the functions of DevStack that the plugin calls
#
# What is called is DevStack's contract; how it is done here is not. Where
# DEVSTACK_DIR names a checkout of DevStack its own functions are run too, and
# tests hold that both do the same.

function define_plugin {
    :
}

function echo_summary {
    echo "$*"
}

function die {
    shift
    echo "ERROR: $*" >&2
    exit 1
}

function trueorfalse {
    case "${!2:-}" in
        1 | [yY]es | YES | [tT]rue | TRUE) echo True ;;
        0 | [nN]o | NO | [fF]alse | FALSE) echo False ;;
        *) echo "$1" ;;
    esac
}

function generate_hex_string {
    head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

# Services
# --------

function is_service_enabled {
    local service
    for service in "$@"; do
        if [[ ",$ENABLED_SERVICES," == *",$service,"* ]]; then
            return 0
        fi
    done
    return 1
}

function enable_service {
    if ! is_service_enabled "$1"; then
        ENABLED_SERVICES+=",$1"
    fi
}

function run_process {
    if is_service_enabled "$1"; then
        mkdir -p "$SYSTEMD_DIR"
        echo "ExecStart = $2" >"$SYSTEMD_DIR/devstack@$1.service"
        $SYSTEMCTL enable "devstack@$1.service"
        $SYSTEMCTL start "devstack@$1.service"
    fi
}

function stop_process {
    if is_service_enabled "$1" && \
            $SYSTEMCTL is-enabled "devstack@$1.service"; then
        $SYSTEMCTL stop "devstack@$1.service"
        $SYSTEMCTL disable "devstack@$1.service"
    fi
}

function setup_develop {
    pip_install -e "$1[$2]"
}

# Accounts
# --------

function get_or_create_project {
    openstack project create "$1" --domain="$2" --or-show
}

function get_or_create_user {
    openstack user create "$1" --password "$2" --domain="$3" --or-show
}

function get_or_create_role {
    openstack role create "$1" --or-show
}

function get_or_add_user_project_role {
    openstack role add "$1" --user "$2" --project "$3" \
        --user-domain "$4" --project-domain "$5"
}

# Files of options
# ----------------
# An option that is new comes first in its section, a section that is new comes
# last, after an empty line.

# _ini file section option what
# Print the lines of an option, without ("value") or with it ("line").
function _ini {
    awk -v section="[$2]" -v option="$3" -v what="$4" '
        /^\[/ { inside = index($0, section) == 1 }
        inside && match($0, "^" option "[ \t]*=[ \t]*") {
            print what == "line" ? $0 : substr($0, RLENGTH + 1)
        }' "$1"
}

# _ini_edit file section option replacement mode
# mode: "delete" the lines of an option, "replace" their values, or "insert"
function _ini_edit {
    local new
    new=$(VALUE=$4 awk -v section="[$2]" -v option="$3" -v mode="$5" '
        /^\[/ { inside = index($0, section) == 1; heading = inside }
        inside && mode != "insert" && match($0, "^" option "[ \t]*=[ \t]*") {
            if (mode == "replace")
                print substr($0, 1, RLENGTH) ENVIRON["VALUE"]
            next
        }
        { print }
        heading && mode == "insert" { print option " = " ENVIRON["VALUE"] }
        { heading = 0 }' "$1")
    printf '%s\n' "$new" >"$1"
}

function ini_has_option {
    [[ -n "$(_ini "$1" "$2" "$3" line)" ]]
}

function iniget {
    # shellcheck disable=SC2005,SC2046
    echo $(_ini "$1" "$2" "$3" value)
}

function iniget_multiline {
    iniget "$@"
}

# DevStack lets bash split the value, and look for files that it matches.
function iniset {
    local value
    # shellcheck disable=SC2086,SC2116
    value=$(echo $4)
    if ! grep -q -F -x "[$2]" "$1" 2>/dev/null; then
        printf '\n[%s]\n' "$2" >>"$1"
    fi
    if ini_has_option "$1" "$2" "$3"; then
        _ini_edit "$1" "$2" "$3" "$value" replace
    else
        _ini_edit "$1" "$2" "$3" "$value" insert
    fi
}

function iniadd_literal {
    _ini_edit "$1" "$2" "$3" "$4" insert
}

function inidelete {
    _ini_edit "$1" "$2" "$3" "" delete
}
