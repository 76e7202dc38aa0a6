# SPDX-License-Identifier: Apache-2.0
"""WHAT HAPPENS WHEN THINGS BREAK? Trials on the cloud that is up.

::

    python -m tests.trials.faults --runs 5 --json faults.json

Exits with 1 if a rule is broken that edge-filters has to keep.
"""

import argparse
import json
import os
import pathlib
import sys
import time
import traceback

# The tool is no package that anybody installs: it runs on a bare machine.
sys.path.append(str(pathlib.Path(__file__).parents[2] / 'tools'))

from smallcloud import layout
from smallcloud import processes
from tests.trials import breakages
from tests.trials import ground
from tests.trials import table
from tests.trials import trial

BOOTS = 40


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--runs', type=int, default=1, help='default: 1')
    parser.add_argument(
        '--boots', type=int, default=BOOTS, help=f'default: {BOOTS}'
    )
    parser.add_argument(
        '--fault',
        action='append',
        choices=list(breakages.FAULTS),
        help='may be repeated; default: each of them',
    )
    parser.add_argument(
        '--json',
        type=pathlib.Path,
        metavar='FILE',
        help='where to write all counts after each trial; goes on with those '
        'it has',
    )
    asked = parser.parse_args()
    results = _known(asked.json) or {
        'edge_filters': ground.knows_budgets(),
        'boots': asked.boots,
        'trials': [],
    }
    if (results['edge_filters'], results['boots']) != (
        ground.knows_budgets(),
        asked.boots,
    ):
        parser.error(
            f'{asked.json} is of another cloud, or of another number of '
            'boots: name another file.'
        )
    services = processes.Processes(layout.Layout())
    cloud = ground.prepare(services)
    # Who was interrupted may have left something behind.
    trial.Trial(cloud, services, breakages.FAULTS['none'], 0, 0).abandon()
    known = {(it['run'], it['fault']) for it in results['trials']}
    for run in range(asked.runs):
        for name in asked.fault or breakages.FAULTS:
            if (run, name) in known:
                continue
            counts = _try(cloud, services, name, run, asked.boots)
            results['trials'].append({'run': run, 'fault': name, **counts})
            print(table.line(results['trials'][-1]), flush=True)
            if asked.json:
                _write(asked.json, results)
        print(f'\nRun {run + 1}:\n')
        print(
            table.of_runs(
                {
                    **results,
                    'trials': [
                        it for it in results['trials'] if it['run'] == run
                    ],
                }
            ),
            flush=True,
        )
    cloud.close()
    if asked.runs > 1:
        print(f'\nMedians of {asked.runs} runs:\n')
        print(table.of_runs(results))
    broken = table.broken_rules(results)
    for sentence in broken:
        print(sentence)
    return 1 if broken else 0


def _try(cloud, services, name, run, boots):
    """Return the counts of a trial, or what it failed with."""
    began = time.time()
    subject = trial.Trial(cloud, services, breakages.FAULTS[name], run, boots)
    try:
        return {'began': began, **subject()}
    except Exception as error:
        traceback.print_exc()
        subject.abandon()
        return {'began': began, 'failed': f'{type(error).__name__}: {error}'}


def _known(path):
    """Return what a file has of trials that came to an end, or None."""
    if path is None or not path.exists():
        return None
    results = json.loads(path.read_text())
    results['trials'] = [it for it in results['trials'] if 'failed' not in it]
    return results


def _write(path, results):
    new = path.with_suffix('.new')
    new.write_text(json.dumps(results, indent=1))
    os.replace(new, path)


if __name__ == '__main__':
    sys.exit(main())
