# SPDX-License-Identifier: Apache-2.0
"""WHO ELSE MEASURES? A real Prometheus, and real blackbox_exporters."""

import json
import pathlib
import socket
import time

import fixtures
import requests

from tests.network import needs
from tests.network import process

_LOOPBACK = '127.0.0.1'
# In a network of its own each, where nobody else has it.
_EXPORTER_PORT = 9115
_START_S = 30


class Prometheus(fixtures.Fixture):
    """A Prometheus of its own, on this machine.

    :param config: what ``prometheus.yml`` says, as a dict
    :ivar url: where it answers
    :ivar process: its ``subprocess.Popen``
    """

    def __init__(self, config):
        super().__init__()
        self._config = config

    def _setUp(self):
        program = needs.check_program('prometheus', 'prometheus')
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        # All JSON is YAML.
        config = folder / 'prometheus.yml'
        config.write_text(json.dumps(self._config))
        address = f'{_LOOPBACK}:{_free_port()}'
        self.url = f'http://{address}'
        log = folder / 'prometheus.log'
        self.process = process.start(
            [
                # It is in no namespace in which the next run would find it.
                *('setpriv', '--pdeathsig', 'KILL'),
                program,
                f'--config.file={config}',
                f'--storage.tsdb.path={folder / "data"}',
                f'--web.listen-address={address}',
            ],
            log,
            cwd=folder,
        )
        self.addCleanup(process.stop, self.process)
        self.addDetail(log.name, process.detail(log))
        _wait_for(self.process, f'{self.url}/-/ready', log)

    def query(self, query):
        """Return the series that a query has now, as the API has them."""
        answer = _get(f'{self.url}/api/v1/query', params={'query': query})
        answer.raise_for_status()
        return answer.json()['data']['result']


class BlackboxExporter(fixtures.Fixture):
    """A blackbox_exporter at a site; its modules are icmp4, tcp6 and so on.

    :param lab: the ``Lab`` that has the site
    :ivar address: HOST:PORT of this machine where it answers
    :ivar process: its ``subprocess.Popen``
    """

    def __init__(self, lab, site):
        super().__init__()
        self._lab = lab
        self._site = site

    def _setUp(self):
        program = needs.check_program(
            'prometheus-blackbox-exporter', 'prometheus-blackbox-exporter'
        )
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        config = folder / 'blackbox.yml'
        config.write_text(json.dumps({'modules': _modules()}))
        log = folder / 'blackbox_exporter.log'
        with log.open('wb') as output:
            self.process = self._lab.run(
                self._site,
                [
                    program,
                    f'--config.file={config}',
                    f'--web.listen-address={_LOOPBACK}:{_EXPORTER_PORT}',
                ],
                stdout=output,
                stderr=output,
            )
        self.addCleanup(process.stop, self.process)
        port = self._lab.window(self._site, _EXPORTER_PORT)
        self.address = f'{_LOOPBACK}:{port}'
        self.addDetail(log.name, process.detail(log))
        _wait_for(self.process, f'http://{self.address}/-/healthy', log)

    def scrape_config(self, module, beacons, label='origin'):
        """Return one of the ``scrape_configs`` of a Prometheus.

        :param beacons: the address of each, as the module wants it, by name
        :param label: what the names are of: ``origin`` or ``to_site``
        """
        return {
            'job_name': f'{self._site} {module} {label}',
            'metrics_path': '/probe',
            'params': {'module': [module]},
            'static_configs': [
                {
                    'targets': [beacon],
                    'labels': {'site': self._site, label: name},
                }
                for name, beacon in beacons.items()
            ],
            'relabel_configs': [
                {
                    'source_labels': ['__address__'],
                    'target_label': '__param_target',
                },
                {
                    'source_labels': ['__address__'],
                    'target_label': 'instance',
                },
                {'target_label': '__address__', 'replacement': self.address},
            ],
        }


def _modules():
    return {
        f'{prober}{version}': {
            'prober': prober,
            prober: {
                'preferred_ip_protocol': f'ip{version}',
                'ip_protocol_fallback': False,
            },
        }
        for prober in ('icmp', 'tcp')
        for version in (4, 6)
    }


def _free_port():
    with socket.create_server((_LOOPBACK, 0)) as listener:
        return listener.getsockname()[1]


def _get(url, **how):
    with requests.Session() as session:
        # No proxy leads to this machine.
        session.trust_env = False
        return session.get(url, timeout=10, **how)


def _wait_for(program, url, log):
    """Wait until a program answers.

    :raises LabError: it has ended, or took too long
    """
    deadline_s = time.monotonic() + _START_S
    while True:
        try:
            if _get(url).ok:
                return
        except requests.RequestException:
            pass
        if program.poll() is not None:
            raise needs.LabError(
                f'{log.stem} ended while it started; mend what its log ends '
                f'with: {process.last_line(log)}'
            )
        if time.monotonic() > deadline_s:
            raise needs.LabError(
                f'{log.stem} did not answer within {_START_S} s; see how busy '
                f'this machine is, and what its log ends with: '
                f'{process.last_line(log)}'
            )
        time.sleep(0.05)
