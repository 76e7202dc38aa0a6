# SPDX-License-Identifier: Apache-2.0

import os
import subprocess
import sys

from smallcloud import errors
from smallcloud import layout
from smallcloud import software
from tests.unit import test_house
from tests.unit.smallcloud import base


class Recorder:
    """Runs nothing, and keeps what it was to run."""

    def __init__(self, meanwhile=lambda: None):
        self.commands = []
        self.meanwhile = meanwhile

    def run(self, name, argv, **how):
        self.commands.append(' '.join(map(str, argv)))
        self.meanwhile()


class BareMachineTest(base.TestCase):
    def test_standard_library_only(self):
        """The tool starts where there is Python and nothing else yet."""
        for path in (layout.CHECKOUT / 'tools' / 'smallcloud').glob('*.py'):
            # It runs when there is an environment, and inside it.
            if path.name == 'populate.py':
                continue
            for name in test_house.imports(path):
                self.assertIn(
                    name.partition('.')[0],
                    {'smallcloud', *sys.stdlib_module_names},
                    path,
                )


class ConstraintsTest(base.TestCase):
    def test_each_release(self):
        """The release of Nova is the one asked for; all else is as tested."""
        tested = (layout.CHECKOUT / 'constraints.txt').read_text()
        for release, major in ((31, '31.'), (33, '33.'), (34, '34.')):
            lines = software._constraints(release).splitlines()
            (nova,) = [line for line in lines if line.startswith('nova=')]
            self.assertTrue(nova.startswith(f'nova=={major}'), nova)
            self.assertEqual(
                [
                    nova if line.startswith('nova=') else line
                    for line in tested.splitlines()
                ],
                lines,
            )
        # The newest is what all other tests run with.
        self.assertEqual(tested, software._constraints(34))


class EnvironmentTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.made_of = [
            self.folder / name
            for name in ('setup.cfg', 'requirements.txt', 'constraints.txt')
        ]
        tools = self.folder / 'tools'
        tools.mkdir()
        self.made_of.append(tools / 'requirements.txt')
        for path in self.made_of:
            path.write_text('nova==34.0.0\n')
        self.patch(layout, 'CHECKOUT', self.folder)
        self.patch(software, '_HERE', tools)
        self.patch(software, '_CONSTRAINTS', self.folder / 'constraints.txt')
        self.run_ = Recorder()

    def install(self, release=34):
        environment = layout.environment(release)
        # As venv does.
        self.run_.meanwhile = lambda: environment.mkdir(
            parents=True, exist_ok=True
        )
        self.run_.commands.clear()
        self.assertEqual(
            environment, software.install_environment(self.run_, release)
        )
        return self.run_.commands

    def test_made_once(self):
        """An environment is made once for each release."""
        for release in (34, 33):
            made = self.install(release)
            # Where a checkout has moved, the programs inside name no Python.
            self.assertIn('venv --clear ', made[0])
            self.assertIn(f'-nova-{release}/bin/pip install', made[-1])
            self.assertEqual([], self.install(release))
        self.assertEqual([], self.install(34))

    def test_made_of_other_things(self):
        """It is made anew, and its tables too, when its pins change."""
        for path in self.made_of:
            self.install()
            tables = software.tables(layout.environment(34))
            tables.write_text('as the old versions made them')
            path.write_text(f'{path.read_text()}nova-of-tomorrow==1\n')
            self.assertNotEqual([], self.install(), path)
            self.assertFalse(tables.exists(), path)
            self.assertEqual([], self.install(), path)

    def test_unfinished(self):
        """One whose making was cut short is not taken for one that works."""
        self.install()
        self.made_of[0].write_text('[metadata]\n')

        def fail():
            raise errors.CloudError('no network')

        self.run_.meanwhile = fail
        self.assertRaises(
            errors.CloudError, software.install_environment, self.run_, 34
        )
        self.assertNotEqual([], self.install())


class PackagesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.policy = self.folder / 'policy-rc.d'
        self.patch(software, '_POLICY', self.policy)
        self.patch(software.shutil, 'which', lambda name: f'/usr/bin/{name}')
        self.patch(os, 'geteuid', lambda: 0)
        self.patch(software, '_is_installed', lambda name: name == 'git')

    def test_nothing_is_missing(self):
        """Where all packages are there, nobody has to be root."""
        self.patch(os, 'geteuid', lambda: 1000)
        self.patch(software, '_is_installed', lambda name: True)
        run = Recorder()
        software.install_packages(run)
        self.assertEqual([], run.commands)

    def test_not_root(self):
        """Who may not install packages is told the line for who may."""
        self.patch(os, 'geteuid', lambda: 1000)
        run = Recorder()
        error = self.assertRaises(
            errors.CloudError, software.install_packages, run
        )
        self.assertTrue(
            str(error).endswith(
                ': apt-get install --yes --no-install-recommends '
                'mariadb-server rabbitmq-server iproute2 iputils-ping '
                'prometheus prometheus-blackbox-exporter'
            ),
            error,
        )
        self.assertEqual([], run.commands)

    def test_nothing_is_started(self):
        """While packages are installed no service of theirs is started."""
        answers = []

        def start():
            done = subprocess.run([self.policy, 'mariadb', 'start'])
            answers.append(done.returncode)
            if len(answers) == 3:
                raise errors.CloudError('no network')

        software.install_packages(Recorder(start))
        self.assertFalse(self.policy.exists())
        self.assertRaises(
            errors.CloudError, software.install_packages, Recorder(start)
        )
        self.assertFalse(self.policy.exists())
        # What invoke-rc.d takes for: forbidden.
        self.assertEqual([101] * 3, answers)

    def test_policy_of_the_machine(self):
        """A machine that has a policy of its own keeps it."""
        self.policy.write_text('mine')
        run = Recorder(
            lambda: self.assertEqual('mine', self.policy.read_text())
        )
        software.install_packages(run)
        self.assertEqual(2, len(run.commands))
        self.assertEqual('mine', self.policy.read_text())
