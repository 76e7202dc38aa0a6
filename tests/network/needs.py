# SPDX-License-Identifier: Apache-2.0
"""WHAT IS MISSING HERE? What the network of the tests cannot do without."""

import os
import pathlib
import shutil

TUN = pathlib.Path('/dev/net/tun')
IPV6 = pathlib.Path('/proc/sys/net/ipv6')


class LabError(Exception):
    """What went wrong, in one sentence with a next step, for the person."""


def check_program(program, package):
    """Return where a program is.

    :param package: the package of Debian that brings it
    :raises LabError: it is nowhere
    """
    path = shutil.which(program)
    if path is None:
        raise LabError(
            f'The program {program} is missing: run '
            f'"apt-get install {package}", or "tools/cloud up", which '
            f'installs what bindep.txt names.'
        )
    return path


def check_network():
    """Check that this process may make networks.

    :raises LabError: it may not
    """
    check_program('ip', 'iproute2')
    if os.geteuid() != 0:
        raise LabError(
            'Only root may make network namespaces: run these tests as root.'
        )
    if not TUN.exists():
        raise LabError(
            f'There is no {TUN}: run "modprobe tun", or start this container '
            f'with "--device {TUN}".'
        )
    if not IPV6.exists():
        raise LabError(
            'This kernel has IPv6 switched off: start it without '
            '"ipv6.disable=1".'
        )


def refused(what, reason):
    """Return the error for what the system did not let root do.

    :param what: what was tried
    :param reason: what the system said, or None
    """
    return LabError(
        f'{what} failed ({reason or "no reason was given"}): run these tests '
        f'where root may make network namespaces and TUN devices, such as a '
        f'virtual machine, or a container started with "--privileged".'
    )
