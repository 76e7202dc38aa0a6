# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES A PLAIN FETCH TAKE? The reference of ``bench_cli``.

A command of ``openstack`` that asks for what it is told to, page after page,
through the connection that every command has, and does nothing with it::

    python -P sandbox/fetch.py plain fetch /os-aggregates

Not as a module of the sandbox, which would bring Nova in.
"""

import argparse
import sys
from typing import Any
from urllib import parse

from openstackclient import shell
from osc_lib.command import command


class Fetch(command.Command):
    """Fetch lists of Nova, and decode them."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument('paths', nargs='+')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        compute = self.app.client_manager.sdk_connection.compute
        for path in parsed_args.paths:
            asked: str | None = path
            while asked:
                # The last version that has processors and memory.
                content = compute.get(asked, microversion='2.87').json()
                asked = following(path, content)


def following(path: str, content: dict[str, Any]) -> str | None:
    """Return what to ask for after a page; None: it was the last."""
    for key, links in content.items():
        if key.endswith('_links'):
            return f'{path}?{parse.urlsplit(links[0]["href"]).query}'
    return None


class _Shell(shell.OpenStackShell):
    def initialize_app(self, argv: list[str]) -> None:
        super().initialize_app(argv)
        self.command_manager.add_command('plain fetch', Fetch)


if __name__ == '__main__':
    sys.exit(_Shell().run(sys.argv[1:]))
