# SPDX-License-Identifier: Apache-2.0
"""DOES A PAGE SAY WHAT HAPPENS? Its commands are run, its output compared.

Every line of a console block that begins with ``$`` is given to one and the
same bash, in the order of the page, after the files that the page shows were
written to where it works::

    .. code-block:: text
       :caption: sites.csv

       par-01,48.85,2.35

    .. code-block:: console

       $ wc -l sites.csv
       1 sites.csv

What differs from run to run, and how wide columns are, does not matter. A line
``...`` stands for any lines. Whoever has to wait says so in the command, as in
``until ...; do sleep 1; done``.
"""

import dataclasses
import os
import pathlib
import re
import secrets
import shlex
import signal
import subprocess
import textwrap
import threading

TIMEOUT_S = 120

_DIRECTIVE = re.compile(r'( *)\.\. (code-block|literalinclude):: *(\S*)$')
_OPTION = re.compile(r' +:(\w+): *(.*)$')
_PROMPT = '$ '
# A line of a page that stands for any lines.
_ANY = '...'
# The name of a file; a caption may also be words.
_NAME = re.compile(r'\w[\w.-]*\.\w+')

# What is another one each time, and what is written in its place.
_VARYING = (
    (r'\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b', '<uuid>'),
    (r'\b[0-9a-f]{32}\b', '<id>'),
    (
        r'\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?'
        r'(?:Z|[+-]\d\d:\d\d)?',
        '<time>',
    ),
    # Of ages; 20 ms is none.
    (r'\b\d+(?:\.\d+)? (?:s|min|h|d)\b', '<age>'),
    # The width of columns.
    (r'-{2,}', '--'),
    (r' +', ' '),
)


@dataclasses.dataclass(frozen=True)
class Block:
    """A directive of a page with what it has in it.

    :param kind: its name
    :param argument: what follows it
    :param options: its options
    :param line: the number of the first line of the body, from 1 on
    :param body: the lines that it has
    """

    kind: str
    argument: str
    options: dict[str, str]
    line: int
    body: list[str]


@dataclasses.dataclass(frozen=True)
class Step:
    """A command of a page, and what the page says that it writes."""

    line: int
    command: str
    output: str


def blocks(text):
    """Yield the blocks of a page."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        match = _DIRECTIVE.match(line)
        if not match:
            continue
        rest = []
        for other in lines[number + 1 :]:
            if other.strip() and not other.startswith(match[1] + ' '):
                break
            rest.append(other)
        options = {}
        while len(options) < len(rest) and (
            option := _OPTION.match(rest[len(options)])
        ):
            options[option[1]] = option[2]
        body = textwrap.dedent('\n'.join(rest[len(options) :])).split('\n')
        yield Block(
            match[2], match[3], options, number + 2 + len(options), body
        )


def steps(text):
    """Yield the commands of a page."""
    for block in blocks(text):
        if (block.kind, block.argument) != ('code-block', 'console'):
            continue
        starts = [
            number
            for number, line in enumerate(block.body)
            if line.startswith(_PROMPT)
        ]
        for start, end in zip(
            starts, [*starts[1:], len(block.body)], strict=True
        ):
            last = start
            while block.body[last].endswith('\\'):
                last += 1
            command = '\n'.join(block.body[start : last + 1])
            output = '\n'.join(block.body[last + 1 : end])
            yield Step(
                block.line + start,
                command.removeprefix(_PROMPT),
                output.strip('\n'),
            )


def files(page):
    """Yield names and contents of the files that a page shows."""
    for block in blocks(page.read_text()):
        name = block.options.get('caption', '')
        if block.kind == 'literalinclude':
            source = page.parent / block.argument
            yield name or source.name, source.read_text()
        elif _NAME.fullmatch(name):
            yield name, '\n'.join(block.body).strip('\n') + '\n'


def normal(text):
    """Return output without what varies from run to run."""
    for pattern, replacement in _VARYING:
        text = re.sub(pattern, replacement, text)
    return '\n'.join(line.strip() for line in text.strip().splitlines())


def is_as_shown(shown, seen):
    """Return whether output is what a page shows."""
    pattern = ''.join(
        '(?:.*\n)*' if line == _ANY else re.escape(line) + '\n'
        for line in normal(shown).splitlines()
    )
    seen = normal(seen)
    return bool(re.fullmatch(pattern, f'{seen}\n' if seen else ''))


class Shell:
    """A bash that is given one command after the other.

    :param folder: where it works
    :param environment: its environment variables
    """

    def __init__(self, folder, environment):
        self._process = subprocess.Popen(
            ['bash', '--noprofile', '--norc'],
            cwd=folder,
            env=environment,
            # What a command has started ends with it.
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_exc_info):
        self._kill()
        self._process.communicate()

    def _kill(self):
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def run(self, command, timeout_s=TIMEOUT_S):
        """Run a command; return its exit status and what it writes.

        The status is None where it took the shell with it, or did not end
        in time.
        """
        mark = f'end-{secrets.token_hex(8)}'
        self._process.stdin.write(
            f'eval {shlex.quote(command)} </dev/null; echo " {mark} $?"\n'
        )
        self._process.stdin.flush()
        timer = threading.Timer(timeout_s, self._kill)
        timer.start()
        try:
            written = ''
            for line in self._process.stdout:
                text, found, status = line.partition(f' {mark} ')
                written += text
                if found:
                    return int(status), written
            return None, written
        finally:
            timer.cancel()


def run(page, folder, environment, timeout_s=TIMEOUT_S):
    """Run the commands of a page; return how many there are.

    :param page: the file
    :param folder: where to run them
    :param environment: the environment variables they see
    :param timeout_s: how long each may take
    :raises AssertionError: if a command does not write what the page shows,
        or if it shows nothing and the command fails
    """
    for name, content in files(page):
        (folder / name).write_text(content)
    count = 0
    with Shell(folder, environment) as shell:
        for step in steps(page.read_text()):
            count += 1
            status, seen = shell.run(step.command, timeout_s)
            if is_as_shown(step.output, seen) and (step.output or status == 0):
                continue
            ended = (
                f'the shell is gone; a command may take {timeout_s} s'
                if status is None
                else f'exit status {status}'
            )
            raise AssertionError(
                f'{pathlib.Path(page).name}, line {step.line}, {ended}\n'
                f'$ {step.command}\n'
                f'--- shown\n{step.output}\n--- seen\n{seen}'
            )
    return count
