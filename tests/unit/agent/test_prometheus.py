# SPDX-License-Identifier: Apache-2.0

import contextlib
import json
import socket
import threading
import time
import tracemalloc
from unittest import mock
import urllib.parse

import fixtures
import hypothesis
from hypothesis import strategies
import ijson
import requests_mock

from edge_filters import ratelimit
from edge_filters.agent import change
from edge_filters.agent import prometheus
from edge_filters.agent import reading
from edge_filters.latency import sample
from edge_filters.latency import sample_format
from tests.unit import base
from tests.unit.agent import settings

URL = 'http://user:secret@prometheus.example/sub/'
QUERIES = ('rtt', 'jitter', 'loss', 'count', 'time')
PARIS = {'site': 'here', 'origin': 'paris'}
PATH = reading.Path('here', 'paris')

JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(max_size=8),
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(
            strategies.text(max_size=8), inner, max_size=4
        )
    ),
    max_leaves=8,
)
TEXTS = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.text(max_size=8),
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(
            strategies.text(max_size=8), inner, max_size=4
        )
    ),
    max_leaves=8,
)
NUMBERS = strategies.floats().map(str) | strategies.sampled_from(
    ('0', '1', '0.5', '-0.1', 'NaN', '+Inf', '1e-320', '1e400', '')
)
LABELS = strategies.fixed_dictionaries(
    {},
    optional={
        'site': strategies.sampled_from(('here', 'There', 'no/name')) | JSON,
        'origin': strategies.sampled_from(('paris', 'x' * 65, '')) | JSON,
        'to_site': strategies.sampled_from(('here', 'lyon')) | JSON,
    },
)
SERIES = (
    strategies.fixed_dictionaries(
        {'metric': LABELS, 'value': strategies.tuples(NUMBERS, NUMBERS)}
    )
    | JSON
)


def answer(*series, **other):
    """Return what Prometheus answers, of labels and numbers."""
    return {
        'status': 'success',
        'data': {
            'resultType': 'vector',
            'result': [
                {'metric': labels, 'value': [1.5e9, str(number)]}
                for labels, number in series
            ],
        },
        **other,
    }


class PrometheusBase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.stop = threading.Event()
        self.repeat()

    def repeat(self):
        """Say again what has been said."""
        self.useFixture(
            fixtures.MockPatchObject(
                prometheus, '_WARNINGS', ratelimit.RateLimit()
            )
        )

    def driver(self, **changed):
        return prometheus.Prometheus(
            settings.make(
                **{
                    'prometheus_url': URL,
                    'prometheus_timeout_s': 5.0,
                    **{f'prometheus_{it}_query': it for it in QUERIES},
                    **changed,
                },
            ),
            (),
        )

    def measure(self, **changed):
        return list(self.driver(**changed).measure(60.0, self.stop))


class AnswersTest(PrometheusBase):
    """What is made of answers."""

    def ask(self, answers=None, **given):
        """Measure; queries for which nothing is given have no series.

        Where no time is given it is not asked for.
        """
        asked = []
        timeless = {'prometheus_time_query': ''}

        def answered(request, context):
            form = dict(urllib.parse.parse_qsl(request.text))
            asked.append((request, form))
            given_answer = (answers or given).get(form['query'], ())
            if isinstance(given_answer, str | bytes):
                return (
                    given_answer
                    if isinstance(given_answer, bytes)
                    else given_answer.encode()
                )
            if isinstance(given_answer, int):
                context.status_code = given_answer
                return b''
            if isinstance(given_answer, dict):
                return json.dumps(given_answer).encode()
            return json.dumps(answer(*given_answer)).encode()

        with requests_mock.Mocker() as mocked:
            mocked.post(requests_mock.ANY, content=answered)
            self.measured = self.measure(
                **({} if 'time' in (answers or given) else timeless)
            )
        self.asked = asked
        return dict(self.measured)

    def test_figures(self):
        """Figures become milliseconds, percent and whole numbers."""
        at = time.time() - 30
        found = self.ask(
            rtt=[(PARIS, 0.0123), ({'site': 'A', 'to_site': 'B'}, 0.2)],
            jitter=[(PARIS, 0.0004)],
            loss=[(PARIS, 0.1), ({'site': 'a', 'to_site': 'b'}, 0)],
            count=[(PARIS, 299.7)],
            time=[(PARIS, at), ({'site': 'a', 'to_site': 'b'}, at)],
        )
        self.assertEqual(sample.Sample(12.3, 0.4, 10.0, 299, at), found[PATH])
        other = found[reading.Path('a', 'b', True)]
        self.assertEqual((200.0, None, 0.0, None, at), other[:5])
        self.assertEqual(2, len(self.measured))
        self.assertEqual(
            'http://prometheus.example/sub/api/v1/query',
            self.asked[0][0].url.replace('user:secret@', ''),
        )
        self.assertEqual({'query': 'rtt', 'timeout': '5'}, self.asked[0][1])
        self.assertIn('Basic ', self.asked[0][0].headers['Authorization'])
        self.assertEqual('', self.log.output)

    def test_not_asked(self):
        """For what there is no query Prometheus is not asked."""
        self.driver = lambda make=self.driver, **changed: make(
            prometheus_jitter_query='', **changed
        )
        self.assertIn(PATH, self.ask(rtt=[(PARIS, 0.01)]))
        self.assertEqual(
            ['rtt', 'loss', 'count'], [form['query'] for _, form in self.asked]
        )

    def test_unreachable(self):
        """Where all probes are lost a site is unreachable, RTT or not."""
        for rtt in ([], [(PARIS, 0.01)]):
            found = self.ask(
                rtt=rtt,
                loss=[(PARIS, 1)],
                jitter=[(PARIS, 0.1)],
                count=[(PARIS, 20)],
            )
            self.assertEqual((None, None, 100.0, 20), found[PATH][:4])

    def test_unmeasured(self):
        """Where there is no RTT, and not all is lost, nothing is known."""
        for loss in ('0.99', '0.9999999999', '1.01', 'NaN', '-1', '+Inf'):
            found = self.ask(
                loss=[(PARIS, loss)],
                count=[(PARIS, 20)],
                jitter=[(PARIS, 0)],
                time=[(PARIS, time.time())],
            )
            self.assertEqual({}, found, loss)

    def test_never_zero(self):
        """An RTT that cannot be is skipped: unknown is never zero."""
        for rtt in (
            '0', '-0', '-0.001', '1e-300', 'NaN', '+Inf', '-Inf', '60.1',
            '1e300', 'near', '', '0' * 500,
        ):  # fmt: skip
            found = self.ask(rtt=[(PARIS, rtt)], loss=[(PARIS, 0)])
            self.assertEqual({}, found, rtt)

    def test_bad_figures(self):
        """Another figure that cannot be is left out, and the RTT stays."""
        for query, index, bad, good in (
            (
                'jitter',
                1,
                ('-1', '61', 'NaN', 'x'),
                (('-1e-12', 0), ('60', 6e4)),
            ),
            (
                'loss',
                2,
                ('-0.1', '1.1', 'NaN', 'x'),
                (('-1e-12', 0), ('5e-1', 50)),
            ),
            ('count', 3, ('0', '-1', '1e10', 'NaN', 'x'), (('1.9', 1),)),
        ):
            for number in bad:
                found = self.ask(
                    {'rtt': [(PARIS, 0.01)], query: [(PARIS, number)]}
                )
                self.assertIsNone(found[PATH][index], (query, number))
            for number, expected in good:
                found = self.ask(
                    {'rtt': [(PARIS, 0.01)], query: [(PARIS, number)]}
                )
                self.assertEqual(expected, found[PATH][index])

    def test_times(self):
        """A figure of the future, or stale, is skipped, and that is said."""
        for ahead_s, is_there in (
            (sample.CLOCK_TOLERANCE_S - 5, True),
            (sample.CLOCK_TOLERANCE_S + 5, False),
            (-2390, True),
            (-2410, False),
            (-1e300, False),
        ):
            found = self.ask(
                rtt=[(PARIS, 0.01)], time=[(PARIS, time.time() + ahead_s)]
            )
            self.assertEqual(is_there, PATH in found, ahead_s)
        self.assertEqual(
            1, self.log.output.count('of 1 paths are skipped'), self.log.output
        )

    def test_doubled(self):
        """Of several series of one path the worst counts, with a warning."""
        at = time.time() - 20
        found = self.ask(
            rtt=[
                (PARIS, 0.01),
                (PARIS | {'site': 'Here'}, 0.03),
                (PARIS, 0.02),
            ],
            loss=[(PARIS, 0), (PARIS, 0.5)],
            count=[(PARIS, 20), (PARIS, 10)],
            jitter=[(PARIS, 0.002), (PARIS, 0.001)],
            time=[(PARIS, at + 10), (PARIS, at)],
        )
        self.assertEqual((30.0, 2.0, 50.0, 10, at), found[PATH][:5])
        self.assertIn(
            'In the answer to prometheus_rtt_query 2 series are of a path '
            "that another is of, too, such as {site='Here', origin='paris'}, "
            'and the worst counts; write the query so that there is one for '
            'each site and origin.\n',
            self.log.output,
        )

    def test_bad_labels(self):
        """Series without the labels are skipped; one warning sums them up."""
        bad = (
            ({'origin': 'paris'}, 'has no label site'),
            ({'site': 'here'}, 'has no label origin'),
            ({'site': 'here', 'origin': ''}, 'has no label origin'),
            ({'site': 'he/re', 'origin': 'paris'}, 'label site is not a name'),
            ({'site': 'here', 'origin': '\x1b[0m'}, 'origin is not a name'),
            ({'site': 'here', 'origin': 'x' * 9999}, 'origin is not a name'),
            ({'site': 'here', 'origin': 7}, 'label origin is not a name'),
            (PARIS | {'to_site': 'b'}, 'has both labels'),
            ({'site': 'here', 'to_site': 'Here'}, 'of a site to itself'),
            (7, 'is not a series with one number'),
        )
        for labels, words in bad:
            self.repeat()
            found = self.ask(rtt=[(labels, 0.01), (PARIS, 0.01)])
            self.assertEqual([PATH], list(found), labels)
            self.assertIn(words, self.log.output)
            self.assertTrue(self.log.output.replace('\n', '').isprintable())
        self.repeat()
        for _ in range(2):
            self.ask(rtt=[*((labels, 1) for labels, _words in bad)])
        self.assertEqual(
            1,
            self.log.output.count(
                'Of the answer to prometheus_rtt_query 10 series are skipped, '
                "such as {origin='paris'}, which has no label site; correct "
                'the query, or the labels by relabelling.\n'
            ),
        )

    def test_nothing(self):
        """An answer without series is said: nothing may be scraped."""
        self.assertEqual({}, self.ask())
        self.assertIn(
            'The answer to prometheus_rtt_query has no series', self.log.output
        )

    def test_no_rtts(self):
        """Where the query for RTTs fails nothing is measured, nor asked."""
        self.assertEqual({}, self.ask(rtt=500, loss=[(PARIS, 1)]))
        self.assertEqual(1, len(self.asked))

    def test_another_fails(self):
        """Where another query fails only its figure is missing."""
        for query in set(QUERIES) - {'rtt', 'time'}:
            found = self.ask({'rtt': [(PARIS, 0.01)], query: 503})
            self.assertEqual((10.0, None, None, None), found[PATH][:4])
            # Half an answer is none: the other half may be the worse.
            half = json.dumps(answer((PARIS, 1)))[:-3]
            found = self.ask({'rtt': [(PARIS, 0.01)], query: half})
            self.assertEqual((10.0, None, None, None), found[PATH][:4])

    def test_nonsense(self):
        """What is no answer of Prometheus is said in one sentence."""
        deep = '[' * 100_000
        for text, words in (
            ('', 'not the API of Prometheus'),
            ('<html>', 'not the API of Prometheus'),
            (b'\xff\xfe\0', 'not the API of Prometheus'),
            ('{}', 'not the API of Prometheus'),
            ('[]', 'not the API of Prometheus'),
            ('7' * 10_000, 'not the API of Prometheus'),
            (deep, 'not the API of Prometheus'),
            ('{"data":{"result":[' + deep, 'not the API of Prometheus'),
            ('{"data":{"result":[' + '{"a":"' + 'x' * 10**6,
             'not the API of Prometheus'),
            ('{"data":{"result":[]}}' + ' ' * 10**6,
             'not the API of Prometheus'),
            ({'status': 'success', 'data': {'result': None}},
             'not the API of Prometheus'),
            ({'status': 'success', 'result': []},
             'not the API of Prometheus'),
            ({'status': 'success',
              'data': {'resultType': 'matrix', 'result': []}},
             "the answer is of type 'matrix'; write a query for an instant"),
            ({'status': 'success',
              'data': {'resultType': 'scalar', 'result': [1, '2']}},
             "the answer is of type 'scalar'; write a query for an instant"),
            ({'status': 'error', 'error': 'too\x1b[1m many'},
             'too\\x1b[1m many; correct the query'),
            ({'status': 'error', 'error': 'x' * 10**5},
             ', ' + 'x' * 200 + ';'),
        ):  # fmt: skip
            self.repeat()
            self.assertEqual({}, self.ask(rtt=text))
            *_, line = self.log.output.splitlines()
            self.assertTrue(
                line.startswith(
                    'Prometheus at http://prometheus.example/sub/ does not '
                    'answer prometheus_rtt_query: '
                ),
                line,
            )
            self.assertIn(words, line)
            self.assertTrue(line.isprintable(), line)
            self.assertTrue(line.endswith('.'), line)
        self.assertNotIn('secret', self.log.output)

    def test_long(self):
        """What is longer than a series may be is not read to its end."""
        for begins, filling in (
            (b'"', b'x'),
            (b'{"data":{"result":[{"a":"', b'x'),
            (b'{"data":{"a":[0', b',0'),
            (b'{"data":{"result":[]}', b' '),
        ):
            rest = iter([begins, *[filling * 1000] * 10_000])
            self.assertRaises(
                ijson.JSONError, prometheus._read_series, rest, self.fail
            )
            self.assertGreater(len(list(rest)), 9000, begins)

    def test_packed(self):
        """What was packed well, or nests deep, takes little memory."""
        response = mock.Mock()
        response.iter_content.return_value = [b'[' * 20_000_000]
        query = prometheus._Query(settings.make(), prometheus._RTT, 'rtt')
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.assertRaises(
            ijson.JSONError,
            prometheus._read_series,
            query._parts(response),
            self.fail,
        )
        self.assertLess(tracemalloc.get_traced_memory()[1], 20_000_000)

    def test_statuses(self):
        """A refusal says what to do about it."""
        for status, words in (
            (302, 'set prometheus_url to where it leads'),
            (401, 'put a user and a password'),
            (404, 'set prometheus_url to what comes before /api/v1'),
            (422, 'correct the query'),
            (500, 'see what its log says'),
        ):
            self.repeat()
            self.assertEqual({}, self.ask(rtt=status))
            self.assertIn(f'HTTP status {status}; {words}', self.log.output)

    def test_no_time(self):
        """What is of nobody knows when is not taken for what is of now."""
        half = json.dumps(answer((PARIS, time.time())))[:-3]
        for times in ((), 503, half):
            found = self.ask({'rtt': [(PARIS, 0.01)], 'time': times})
            self.assertEqual({}, found, times)
        self.assertIn('says nothing of them', self.log.output)
        found = self.ask(rtt=[(PARIS, 0.01)])
        self.assertLess(abs(time.time() - found[PATH].at), 5)

    def test_redirect(self):
        """Where an answer would lead is not read, whatever its size."""
        driver = prometheus._Session()
        answered = mock.Mock(is_redirect=True, headers={'location': '/x'})
        self.assertIsNone(driver.get_redirect_target(answered))

    def test_any_order(self):
        """The parts of an answer may come in any order, with others."""
        whole = answer((PARIS, 0.01))
        for text in (
            json.dumps(dict(reversed(whole.items())), indent=3),
            json.dumps(
                {
                    **whole,
                    'data': dict(reversed(whole['data'].items())),
                    'warnings': ['"result":[', 'x' * 1000],
                }
            ),
            json.dumps(whole, separators=(',', ':')),
        ):
            self.assertEqual([PATH], list(self.ask(rtt=text)), text)

    @hypothesis.settings(max_examples=50)
    @hypothesis.given(
        strategies.lists(TEXTS, max_size=6), strategies.integers(1, 40)
    )
    def test_parts(self, series, size):
        """However an answer is cut into parts, it says the same."""
        whole = {
            'status': 'success',
            'data': {'resultType': 'vector', 'result': series},
        }
        body = json.dumps(whole, ensure_ascii=False).encode()
        parts = (body[at : at + size] for at in range(0, len(body), size))
        found = []
        answer = prometheus._read_series(parts, found.append)
        self.assertEqual(series, found)
        whole['data']['result'] = []
        self.assertEqual(whole, answer)

    @hypothesis.settings(max_examples=50)
    @hypothesis.given(
        strategies.dictionaries(
            strategies.sampled_from(QUERIES),
            strategies.lists(SERIES, max_size=5).map(
                lambda it: {
                    'status': 'success',
                    'data': {'resultType': 'vector', 'result': it},
                }
            )
            | JSON.map(json.dumps)
            | strategies.binary(max_size=20),
        )
    )
    def test_whatever_is_answered(self, answers):
        """What is measured can be written; nothing else is raised."""
        for path, figure in self.ask(answers).items():
            self.assertEqual(path.key, path.key.lower())
            written = sample_format.format_sample(figure)
            again = sample_format.parse_sample(written)
            self.assertEqual(figure[:4], again[:4])
            self.assertTrue(
                figure.loss_pct == 100
                if figure.rtt_ms is None
                else 0 < figure.rtt_ms <= change.MAX_MS
            )


class ServersTest(PrometheusBase):
    """How Prometheus answers, if it does."""

    def setUp(self):
        super().setUp()
        self.release = threading.Event()
        self.addCleanup(self.release.set)

    def serve(self, speak, until=b'&timeout='):
        """Have every connection answered; return the URL."""
        server = socket.create_server(('127.0.0.1', 0))

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(
                        target=answer_one,
                        args=(server.accept()[0],),
                        daemon=True,
                    ).start()

        def answer_one(connection):
            with connection, contextlib.suppress(OSError):
                asked = b''
                # The query is the end of it; what is not read would be
                # answered by a reset.
                while until not in asked or not asked:
                    asked += connection.recv(65536)
                speak(connection)

        threading.Thread(target=accept, daemon=True).start()
        self.addCleanup(server.close)
        self.addCleanup(server.shutdown, socket.SHUT_RDWR)
        return f'http://u:secret@127.0.0.1:{server.getsockname()[1]}'

    def said(self, url, **changed):
        """Return what is said of a Prometheus that does not answer."""
        self.assertEqual([], self.measure(prometheus_url=url, **changed))
        self.assertNotIn('secret', self.log.output)
        (line,) = self.log.output.splitlines()
        return line.partition('prometheus_rtt_query: ')[2]

    def test_environment(self):
        """What the environment says of proxies is no option of the agent."""
        for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy'):
            self.useFixture(
                fixtures.EnvironmentVariable(name, 'http://127.0.0.1:1')
            )
        body = json.dumps(answer((PARIS, 0.01))).encode()
        url = self.serve(
            lambda it: it.sendall(b'HTTP/1.0 200 OK\r\n\r\n' + body)
        )
        found = self.measure(prometheus_url=url, prometheus_time_query='')
        self.assertEqual([PATH], [path for path, _figure in found])

    def test_refused(self):
        """Where nobody listens that is said."""
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
        self.assertEqual(
            'the connection fails: Connection refused; see whether it runs, '
            'and set prometheus_url to where.',
            self.said(f'http://u:secret@127.0.0.1:{port}'),
        )

    def test_never(self):
        """Who never answers is not waited for longer than is told."""
        for speak in (
            lambda it: self.release.wait(10),
            self.trickle_head,
            self.trickle_body,
        ):
            self.repeat()
            start = time.monotonic()
            driver = self.driver(
                prometheus_url=self.serve(speak), prometheus_timeout_s=0.15
            )
            self.assertEqual([], list(driver.measure(60.0, self.stop)))
            self.assertLess(time.monotonic() - start, 1)
            self.assertIn(
                ': the answer is not there in time; raise prometheus_timeout',
                self.log.output.splitlines()[-1],
            )

    def trickle_head(self, connection):
        connection.sendall(b'HTTP/1.1 200 OK\r\na: ')
        while not self.release.wait(0.002):
            connection.sendall(b'b')

    def trickle_body(self, connection):
        connection.sendall(
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
        )
        while not self.release.wait(0.02):
            connection.sendall(b'1\r\n \r\n')

    def test_many_never(self):
        """Threads that wait for answers which do not end are few."""
        driver = self.driver(
            prometheus_url=self.serve(self.trickle_head),
            prometheus_timeout_s=0.03,
        )
        self.useFixture(fixtures.MockPatchObject(prometheus, '_WAIT_S', 0.005))
        # On a busy machine some of them end before their answer begins.
        for _ in range(100):
            self.repeat()
            self.assertEqual([], list(driver.measure(60.0, self.stop)))
            threads = [
                it
                for it in threading.enumerate()
                if it.name == 'edge-prometheus'
            ]
            self.assertLessEqual(len(threads), 8)
            if '8 answers before have not ended' in self.log.output:
                return
        self.fail('It asks on and on')

    def test_abandoned(self):
        """Who is not waited for ends with the next part of the answer."""
        driver = self.driver(
            prometheus_url=self.serve(self.trickle_body),
            prometheus_timeout_s=0.05,
        )
        self.useFixture(fixtures.MockPatchObject(prometheus, '_WAIT_S', 0.005))
        for _ in range(9):
            self.repeat()
            self.assertEqual([], list(driver.measure(60.0, self.stop)))
            self.assertIn(
                'is not there in time', self.log.output.splitlines()[-1]
            )
            driver._threads[-1].join(1)
            self.assertFalse(driver._threads[-1].is_alive())

    def test_stop(self):
        """An agent that stops waits for no answer."""
        url = self.serve(lambda it: self.release.wait(10))
        threading.Timer(0.05, self.stop.set).start()
        start = time.monotonic()
        self.assertEqual([], self.measure(prometheus_url=url))
        self.assertLess(time.monotonic() - start, 1)
        self.assertEqual('', self.log.output)

    def test_endless(self):
        """An answer that is too large is not read to its end."""
        self.useFixture(
            fixtures.MockPatchObject(prometheus, 'MAX_BYTES', 1024 * 1024)
        )

        def speak(connection):
            connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"data":{"result":[""')
            while True:
                connection.sendall(b',"' + b'x' * 50_000 + b'"')

        self.assertEqual(
            'the answer has more than 1 MB; write a query with one series '
            'for each site and origin.',
            self.said(self.serve(speak)),
        )

    def test_too_many(self):
        """An answer with too many series is not read to its end."""
        self.useFixture(fixtures.MockPatchObject(prometheus, 'MAX_SERIES', 10))

        def speak(connection):
            body = json.dumps(answer(*[(PARIS, 1)] * 11))
            connection.sendall(b'HTTP/1.0 200 OK\r\n\r\n' + body.encode())

        self.assertIn('more than 10 series', self.said(self.serve(speak)))

    def test_elsewhere(self):
        """Nobody is sent elsewhere, with the password and all."""
        visited = []
        other = self.serve(visited.append).replace('u:secret@', '')

        def speak(connection):
            connection.sendall(
                b'HTTP/1.1 307 Moved\r\nContent-Length: 0\r\n'
                b'Location: ' + other.encode() + b'\r\n\r\n'
            )

        self.assertEqual(
            'HTTP status 307; set prometheus_url to where it leads.',
            self.said(self.serve(speak)),
        )
        self.assertEqual([], visited)

    def test_broken_off(self):
        """An answer that breaks off is none."""
        body = json.dumps(answer((PARIS, 0.01)))
        for head in (
            f'Content-Length: {len(body) + 10}\r\n\r\n{body}',
            f'Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n{body}\r\n',
            'Transfer-Encoding: chunked\r\n\r\nzz\r\n',
            'Content-Encoding: gzip\r\n\r\nabc',
        ):

            def speak(connection, head=head):
                connection.sendall(f'HTTP/1.1 200 OK\r\n{head}'.encode())

            self.repeat()
            url = self.serve(speak)
            self.assertEqual([], self.measure(prometheus_url=url), head)
            self.assertIn(
                'the connection fails: ', self.log.output.splitlines()[-1]
            )

    def test_tls(self):
        """Where TLS fails, or its certificates, that is said."""
        url = self.serve(
            lambda it: it.sendall(b'HTTP/1.1 400 No\r\n\r\n'), until=b''
        ).replace('http:', 'https:')
        self.assertIn('TLS fails, ', self.said(url))
        self.repeat()
        self.assertEqual(
            [],
            self.measure(prometheus_url=url, prometheus_cafile='/nowhere'),
        )
        self.assertIn(
            'its certificates cannot be read; correct prometheus_cafile',
            self.log.output,
        )

    def test_bad_url(self):
        """A URL that cannot be used is said, without its password."""
        for url in ('http://u:secret@[::1', 'http://u:secret@.a:99999/'):
            self.repeat()
            self.assertEqual([], self.measure(prometheus_url=url))
            self.assertIn('the URL cannot be used', self.log.output)
        self.assertNotIn('secret', self.log.output)
