# SPDX-License-Identifier: Apache-2.0
"""WHAT IS INSTALLED? Debian's packages, and Python environments from PyPI."""

import collections.abc
import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

from smallcloud import errors
from smallcloud import layout
from smallcloud import processes

_HERE = pathlib.Path(__file__).parent

# The programs that Debian's packages bring. They are called where they are:
# what the packages put on the PATH would start the machine's own services.
MARIADB = '/usr/sbin/mariadbd'
RABBITMQ = '/usr/lib/rabbitmq/bin/rabbitmq-server'

# The last of each release; constraints.txt has the newest of them.
_NOVA = {31: '31.3.1', 33: '33.0.2', 34: '34.0.0'}
_CONSTRAINTS = layout.CHECKOUT / 'constraints.txt'

# Debian starts the services that a package brings, if this does not forbid it.
_POLICY = pathlib.Path('/usr/sbin/policy-rc.d')
_POLICY_TEXT = (
    '#!/bin/sh\n# For as long as tools/cloud installs packages.\nexit 101\n'
)


def install_packages(run: processes.Processes) -> None:
    """Install the Debian packages of ``bindep.txt`` that are missing."""
    missing = [name for name in _packages() if not _is_installed(name)]
    if not missing:
        return
    command = ['apt-get', 'install', '--yes', '--no-install-recommends']
    if os.geteuid() != 0 or not shutil.which('apt-get'):
        raise errors.CloudError(
            'Debian packages are missing. Install them as root, then try '
            f'again: {" ".join([*command, *missing])}'
        )
    with _nothing_is_started():
        run.run('packages', ['apt-get', 'update'], env=_proxies())
        run.run(
            'packages',
            [*command, *missing],
            env=_proxies() | {'DEBIAN_FRONTEND': 'noninteractive'},
        )


def install_environment(
    run: processes.Processes, nova_release: int
) -> pathlib.Path:
    """Return the environment of a release, made if need be."""
    environment = layout.environment(nova_release)
    stamp = environment / 'edge-filters-cloud.stamp'
    wanted = _fingerprint(nova_release)
    if stamp.exists() and stamp.read_text() == wanted:
        return environment
    # What was made with other versions is not to be used again.
    stamp.unlink(missing_ok=True)
    tables(environment).unlink(missing_ok=True)
    run.run(
        'environment', [sys.executable, '-m', 'venv', '--clear', environment]
    )
    constraints = environment / 'edge-filters-cloud.txt'
    constraints.write_text(_constraints(nova_release))
    run.run(
        'environment',
        [
            environment / 'bin' / 'pip',
            'install',
            '--disable-pip-version-check',
            '--constraint',
            constraints,
            '--requirement',
            _HERE / 'requirements.txt',
            '--editable',
            # With openstack edge, as its documentation says.
            f'{layout.CHECKOUT}[cli]',
        ],
        env=_proxies(),
    )
    stamp.write_text(wanted)
    return environment


def tables(environment: pathlib.Path) -> pathlib.Path:
    """Where the databases are kept as the services first make them."""
    return environment / 'edge-filters-cloud.sql'


def _proxies() -> dict[str, str]:
    """How whoever fetches packages gets out; nobody else needs to."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.lower().endswith('_proxy')
    }


def _constraints(nova_release: int) -> str:
    """Return the versions this tree was tested with, for a release of Nova."""
    return re.sub(
        r'^nova==.*$',
        f'nova=={_NOVA[nova_release]}',
        _CONSTRAINTS.read_text(),
        flags=re.MULTILINE,
    )


def _packages() -> list[str]:
    """Return the first word of each line of bindep.txt that names one."""
    lines = (layout.CHECKOUT / 'bindep.txt').read_text().splitlines()
    return [
        words[0] for line in lines if (words := line.partition('#')[0].split())
    ]


def _is_installed(package: str) -> bool:
    if not shutil.which('dpkg-query'):
        return False
    done = subprocess.run(  # noqa: S603
        ['dpkg-query', '-W', '-f', '${db:Status-Status}', package],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout == 'installed'


@contextlib.contextmanager
def _nothing_is_started() -> collections.abc.Iterator[None]:
    # Ours may be left over from a run that was killed.
    if _POLICY.exists() and _POLICY.read_text() != _POLICY_TEXT:
        yield
        return
    try:
        _POLICY.write_text(_POLICY_TEXT)
        _POLICY.chmod(0o755)
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def _fingerprint(nova_release: int) -> str:
    """Return another text whenever the environment must be made anew."""
    digest = hashlib.sha256(sys.version.encode())
    digest.update(_constraints(nova_release).encode())
    for path in (
        _HERE / 'requirements.txt',
        layout.CHECKOUT / 'requirements.txt',
        layout.CHECKOUT / 'setup.cfg',
    ):
        digest.update(path.read_bytes())
    return f'{layout.CHECKOUT} {digest.hexdigest()}\n'
