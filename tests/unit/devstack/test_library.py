# SPDX-License-Identifier: Apache-2.0

import fixtures

from tests.unit import base
from tests.unit.devstack import stack

# What the scripts print with the functions of DevStack, at commit 493835a.
SAID = stack.HERE / 'library.txt'
# Whatever DevStack's functions call of a machine.
MACHINE = """
function sudo { "$@"; }
function sleep { :; }
function time_start { :; }
function time_stop { :; }
export SCRATCH=$PWD
SYSTEMCTL=systemctl SYSTEMD_DIR=$PWD/systemd STACK_USER=stack
GLOBAL_VENV=False KILL_PATH=/bin/kill DEST=$PWD
DISABLED_SERVICES= ENABLED_SERVICES=n-api,n-api-meta
"""
# By what it is about: a script.
SCRIPTS = {
    'true': """
for value in 1 0 yes No TRUE False maybe ""; do
    echo "$(trueorfalse True value) $(trueorfalse False value)"
done
trueorfalse True not_set
""",
    'services': """
for names in n-api n-sch "n-sch n-api" "n-sch n-cpu" api; do
    is_service_enabled $names && echo "$names"
done
enable_service agent
enable_service agent
echo "$ENABLED_SERVICES"
""",
    'processes': """
enable_service agent
stop_process agent
run_process other "/bin/other"
run_process agent "/bin/agent --config-file /etc/agent.conf"
stop_process agent
stop_process agent
grep -h "^ExecStart" systemd/*
ls systemd
grep -v daemon-reload calls
""",
    'die': '(die $LINENO "It is all over") 2>&1 | grep -o "It is all over"; '
    'echo "${PIPESTATUS[0]}"',
    'secret': "generate_hex_string 32 | grep -c -E '^[0-9a-f]{64}$'",
    'new': """
iniset new.conf a b "c d"
iniset new.conf a e ""
iniset new.conf a.b:c f 'x & y \\ z / *'
iniadd_literal new.conf a g "h  i"
iniadd_literal new.conf a g j
iniadd_literal new.conf none g j
iniget_multiline new.conf a g
cat new.conf
""",
    'old': """
cat >old.conf <<END
[DEFAULT]
host = a
hosts = b
[one]
host=c
# host = d
host = e

[one_two]
host = f
END
for section in DEFAULT one one_two two; do
    # iniget is for what is there once.
    [[ "$section" == "one" ]] || iniget old.conf $section host
    iniget_multiline old.conf $section host
    ini_has_option old.conf $section host && echo yes
done
iniset old.conf one host g
iniset old.conf one host_two h
inidelete old.conf DEFAULT host
inidelete old.conf one_two host
inidelete old.conf one_two host
inidelete old.conf two host
cat old.conf
""",
}


class LibraryTest(base.TestCase):
    devstack = ''

    def test_same(self):
        """What stands in for DevStack's functions does what they do."""
        said = []
        for name, script in SCRIPTS.items():
            folder = self.useFixture(fixtures.TempDir()).path
            text = stack.bash(MACHINE + script, folder, self.devstack)
            said += [f'# {name}', *text.splitlines(), '']
        self.assertEqual(
            SAID.read_text().splitlines(),
            [line.rstrip() for line in said[:-1]],
        )


if stack.DEVSTACK:

    class DevStackLibraryTest(LibraryTest):
        devstack = stack.DEVSTACK
