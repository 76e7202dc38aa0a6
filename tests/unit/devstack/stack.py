# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES A PHASE LEAVE? The plugin's phases, run by bash on copies.

The phases run as stack.sh runs them, with the functions of ``library.sh`` in
place of DevStack's, or with DevStack's own.
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys

import fixtures
from oslo_config import iniparser

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
PLUGIN = ROOT / 'devstack'
NOVA_CONF = HERE / 'nova.conf'
# A checkout of DevStack, whose functions are to be run too.
DEVSTACK = os.environ.get('DEVSTACK_DIR', '')
HOSTS = ('stack1', 'stack2', 'stack3', 'stack4')
STACK = (
    'stack install',
    'stack post-config',
    'stack extra',
    'stack test-config',
)


class _Options(iniparser.BaseParser):
    """Every value of every option, by section and name."""

    def __init__(self):
        super().__init__()
        self.sections = {}

    def new_section(self, section):
        self.options = self.sections.setdefault(section, {})

    def assignment(self, key, value):
        self.options.setdefault(key, []).append('\n'.join(value))


def options(path):
    """Return what oslo.config reads: {section: {option: [value, ...]}}."""
    parser = _Options()
    with path.open() as lines:
        parser.parse(lines)
    return parser.sections


class Stack(fixtures.Fixture):
    """A machine with the files of Nova, as DevStack has written them."""

    def __init__(self, devstack=''):
        """Choose the functions.

        :param devstack: a checkout of DevStack, or '' for the stand-in
        """
        self._devstack = devstack

    def _setUp(self):
        self.folder = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path
        ).resolve()
        self.etc = self.folder / 'etc'
        self.nova_conf = self.etc / 'nova' / 'nova.conf'
        self.api_paste = self.etc / 'nova' / 'api-paste.ini'
        self.agent_conf = self.etc / 'edge-filters/edge-latency-agent.conf'
        self.tempest_conf = self.folder / 'tempest.conf'
        self.nova_conf.parent.mkdir(parents=True)
        shutil.copy(NOVA_CONF, self.nova_conf)
        # Nova's own, from its wheel.
        shutil.copy(
            pathlib.Path(sys.prefix, 'etc/nova/api-paste.ini'), self.api_paste
        )
        tools = self.folder / 'devstack' / 'tools'
        tools.mkdir(parents=True)
        (tools / 'discover_hosts.sh').symlink_to('/bin/true')
        (self.folder / 'edge-filters').symlink_to(ROOT)

    def run(self, *phases, check=True, **variables):
        """Run phases in one bash, and return what it has written.

        :param check: whether it has to succeed
        :param variables: what local.conf sets
        """
        done = subprocess.run(
            ['bash', HERE / 'run.sh', *phases],
            env={
                'COMPUTES': ' '.join(HOSTS),
                'DEVSTACK_DIR': self._devstack,
                'FAILS': '',
                'NOUNSET': '' if self._devstack else 'True',
                'PATH': os.environ['PATH'],
                'SCRATCH': str(self.folder),
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        if check and done.returncode:
            raise AssertionError(f'{phases} failed: {done.stdout}')
        if not check and not done.returncode:
            raise AssertionError(f'{phases} should fail: {done.stdout}')
        return done.stdout

    def stack(self, **variables):
        """Run all phases of stack.sh."""
        return self.run(*STACK, **variables)

    def files(self):
        """Return what is in /etc: {path: bytes, or None of a folder}."""
        return {
            path.relative_to(self.etc): (
                None if path.is_dir() else path.read_bytes()
            )
            for path in self.etc.rglob('*')
        }

    def calls(self, program):
        """Return the arguments that a program was called with, each time."""
        path = self.folder / 'calls'
        lines = path.read_text().splitlines() if path.exists() else []
        return [
            line.partition(' ')[2]
            for line in lines
            if line.startswith(f'{program} ')
        ]

    def variables(self):
        """Return variables of DevStack as the last phases left them."""
        lines = (self.folder / 'variables').read_text().splitlines()
        return dict(line.split('=', 1) for line in lines)


def bash(script, folder='/', devstack=''):
    """Return what a script prints that has the functions.

    :param folder: where it runs
    :param devstack: a checkout of DevStack, or '' for the stand-in
    """
    library = f'{devstack}/functions' if devstack else HERE / 'library.sh'
    return subprocess.run(
        ['bash', '-c', f'source {shlex.quote(str(library))}\n{script}'],
        cwd=folder,
        env={'PATH': f'{HERE}/bin:{os.environ["PATH"]}', 'FAILS': ''},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    ).stdout


def settings(before):
    """Return what settings makes of variables: {name: value}.

    :param before: lines of bash, as in local.conf
    """
    said = bash(
        'HOST_IP=192.0.2.10 NOVA_MY_IP=192.0.2.10 DEST=/opt/stack\n'
        f'{before}\n'
        f'source {shlex.quote(str(PLUGIN / "settings"))}\n'
        'for name in "${!EDGE_FILTERS_@}"; do\n'
        '    echo "$name=${!name}"\n'
        'done\n'
    )
    return dict(line.split('=', 1) for line in said.splitlines())
