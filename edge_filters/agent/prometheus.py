# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES PROMETHEUS KNOW? A query for each figure, of all sites at once.

An answer may have hundreds of thousands of series. It is read as it comes,
series by series, and of each only the number is kept.
"""

import collections.abc
import dataclasses
import functools
import math
import ssl
import threading
import time
import typing
import urllib.parse

import ijson
from oslo_log import log as logging
import requests

from edge_filters import ratelimit
from edge_filters import spelling
from edge_filters.agent import change
from edge_filters.agent import probe
from edge_filters.agent import reading
from edge_filters.conf import agent as agent_conf
from edge_filters.latency import sample

LOG = logging.getLogger(__name__)

# How large an answer may be; 450,000 series take about a third of it.
MAX_BYTES = 256 * 1024 * 1024
MAX_SERIES = 1_000_000

# How many bytes there may be without a series, and how deep they may nest.
MAX_TEXT = 256 * 1024
MAX_DEPTH = 100

_MAX_COUNT = 1e9

# How far from 0 a difference may be of numbers that are the same.
_ROUNDING = 1e-9

# Prometheus writes all digits.
_MAX_NUMBER = 400
_MAX_NAME = 256
_MAX_SAID = 200
_CHUNK = 64 * 1024
_WAIT_S = 0.1

# Threads that still read an answer which nobody waits for any more.
_MAX_ABANDONED = 8

_STEPS = {'start_map': 1, 'start_array': 1, 'end_map': -1, 'end_array': -1}
# In how many lists and objects a series is.
_SERIES_DEPTH = 3

_LABELS = ('site', 'origin', 'to_site')

_WARNINGS = ratelimit.RateLimit()

# By site and whether its targets are sites, then by target.
_Figures = dict[tuple[str, bool], dict[str, float]]


class QueryError(Exception):
    """A query without an answer: why, and what can be done about it."""

    def __init__(self, why: str, next_step: str) -> None:
        super().__init__(f'{why}; {next_step}')


class Prometheus(probe.Probe):
    """Asks Prometheus for the figures of all sites."""

    def __init__(self, *args: typing.Any) -> None:
        super().__init__(*args)
        self._threads: list[threading.Thread] = []

    def measure(
        self, spread_s: float, stop: threading.Event
    ) -> probe.Readings:
        """Ask for each figure, and return the samples that they make."""
        asked_at = time.time()
        answers: dict[_Question, _Figures] = {}
        for question in _QUESTIONS:
            answer = self._answer(question, stop)
            is_needed = question is _RTT or (
                question is _TIME and self.settings.prometheus_time_query
            )
            # Of when nobody knows they were measured figures are not of now.
            if stop.is_set() or (is_needed and answer is None):
                return []
            answers[question] = answer or {}
        return self._samples(answers, asked_at)

    def _answer(
        self, question: '_Question', stop: threading.Event
    ) -> _Figures | None:
        """Return the figures of an answer; None: there is none."""
        words = getattr(self.settings, question.option)
        if not words:
            return None
        query = _Query(self.settings, question, words)
        error = self._run(query, stop)
        if error is None:
            query.harvest.warn()
            return query.harvest.figures
        if not stop.is_set() and _WARNINGS.is_due(question.option):
            LOG.warning(
                'Prometheus at %(url)s does not answer %(option)s: %(error)s.',
                {
                    'url': _shown_url(self.settings.prometheus_url),
                    'option': question.option,
                    'error': error,
                },
            )
        return None

    def _run(
        self, query: '_Query', stop: threading.Event
    ) -> QueryError | None:
        """Have a query answered, within the time that it has.

        :returns: why it is not; None: it is
        """
        self._threads = [it for it in self._threads if it.is_alive()]
        if len(self._threads) >= _MAX_ABANDONED:
            return QueryError(
                f'{len(self._threads)} answers before have not ended yet',
                'see to the proxies in between',
            )
        end = time.monotonic() + self.settings.prometheus_timeout_s
        # It is not waited for where it does not return.
        thread = threading.Thread(
            target=query.run, name='edge-prometheus', daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            return QueryError(
                str(error), 'raise how many threads this service may have'
            )
        self._threads.append(thread)
        while thread.is_alive():
            if stop.is_set() or time.monotonic() > end:
                query.is_over = True
                return _late()
            thread.join(_WAIT_S)
        return query.error

    def _samples(
        self,
        answers: dict['_Question', _Figures],
        asked_at: float,
    ) -> collections.abc.Iterator[tuple[reading.Path, sample.Sample]]:
        now = time.time()
        odd = 0
        rows = dict.fromkeys((*answers[_RTT], *answers[_LOSS]))
        for row in rows:
            rtts, jitters, losses, counts, times = (
                # What is said need not be kept.
                answers[it].pop(row, {})
                for it in _QUESTIONS
            )
            for target in dict.fromkeys((*rtts, *losses)):
                loss_pct = losses.get(target)
                # No RTT makes up for a loss of everything.
                rtt_ms = None if loss_pct == 100 else rtts.get(target)
                if rtt_ms is None and loss_pct != 100:
                    continue
                at = times.get(target)
                if not self.settings.prometheus_time_query:
                    at = asked_at
                if at is None or sample.is_stale(
                    now - at, self.settings.max_age_s
                ):
                    odd += 1
                    continue
                jitter_ms = None if rtt_ms is None else jitters.get(target)
                count = counts.get(target)
                yield (
                    reading.Path(row[0], target, row[1]),
                    sample.Sample(
                        rtt_ms,
                        jitter_ms,
                        loss_pct,
                        None if count is None else int(count),
                        at,
                    ),
                )
        if odd and _WARNINGS.is_due('times'):
            LOG.warning(
                'The figures of %(count)d paths are skipped, as '
                'prometheus_time_query says that they are of the future, or '
                'older than [edge_filters] max_age, or says nothing of them; '
                'see to the clocks, and to what that query asks for.',
                {'count': odd},
            )


@dataclasses.dataclass(frozen=True, eq=False)
class _Question:
    """A figure that Prometheus is asked for.

    :param option: the setting that has the query
    :param convert: returns the figure for a number, or raises ValueError
    :param worst: returns which of two figures of one path counts
    """

    option: str
    convert: collections.abc.Callable[[float], float]
    worst: collections.abc.Callable[[float, float], float]


def _rtt_ms(seconds: float) -> float:
    rtt_ms = round(seconds * 1000, 6)
    if not 0 < rtt_ms <= change.MAX_MS:
        raise ValueError('an RTT is in seconds, more than 0 and up to 60')
    return rtt_ms


def _jitter_ms(seconds: float) -> float:
    jitter_ms = round(_not_negative(seconds) * 1000, 6)
    if not 0 <= jitter_ms <= change.MAX_MS:
        raise ValueError('jitter is in seconds, 0 to 60')
    return jitter_ms


def _loss_pct(share: float) -> float:
    share = _not_negative(share)
    if not 0 <= share <= 1 + _ROUNDING:
        raise ValueError('loss is a share of the probes, 0 to 1')
    # A hundred is said only where nothing at all came back.
    return min(share, 1) * 100


def _count(number: float) -> float:
    # What Prometheus extrapolates is not whole; of fewer less is believed.
    if not 1 <= number <= _MAX_COUNT:
        raise ValueError('a count of probes is 1 to 1e9')
    return math.floor(number)


def _at(seconds: float) -> float:
    if not math.isfinite(seconds):
        raise ValueError('a time is in seconds since the epoch')
    return seconds


def _number(text: str) -> float:
    try:
        if len(text) <= _MAX_NUMBER:
            return float(text)
    except ValueError:
        pass
    raise ValueError('it is not a number')


def _not_negative(number: float) -> float:
    return 0.0 if -_ROUNDING < number < 0 else number


_RTT = _Question('prometheus_rtt_query', _rtt_ms, max)
_LOSS = _Question('prometheus_loss_query', _loss_pct, max)
_TIME = _Question('prometheus_time_query', _at, min)
_QUESTIONS = (
    _RTT,
    _Question('prometheus_jitter_query', _jitter_ms, max),
    _LOSS,
    _Question('prometheus_count_query', _count, min),
    _TIME,
)


class _Harvest:
    """The figures of the series of one answer, and what is wrong with some.

    :param question: what was asked
    """

    def __init__(self, question: _Question) -> None:
        self.figures: _Figures = {}
        self.series = 0
        self._question = question
        # Of those that are skipped, and of those for which there was one
        # already: how many, and the first.
        self._skipped, self._wrong = 0, ''
        self._doubled, self._double = 0, ''

    def add(self, series: object) -> None:
        """Read one series, whatever it is.

        :raises QueryError: if there are too many
        """
        if self.series >= MAX_SERIES:
            raise QueryError(
                f'the answer has more than {MAX_SERIES:,} series',
                'write a query with one for each site and origin',
            )
        self.series += 1
        try:
            row, target, figure = self._read(series)
        except ValueError as error:
            self._skipped += 1
            self._wrong = self._wrong or f'{_shown_series(series)}, {error}'
            return
        if math.isnan(figure):
            return
        figures = self.figures.setdefault(row, {})
        if target in figures:
            self._doubled += 1
            self._double = self._double or _shown_series(series)
            figure = self._question.worst(figure, figures[target])
        figures[target] = figure

    def _read(self, series: object) -> tuple[tuple[str, bool], str, float]:
        match series:
            case {'metric': dict(labels), 'value': [_, str(text)]}:
                row, target = _path(labels)
            case _:
                raise ValueError('which is not a series with one number')
        try:
            number = _number(text)
            # In PromQL that is nothing.
            if not math.isnan(number):
                number = self._question.convert(number)
        except ValueError as error:
            raise ValueError(
                f'which has {spelling.shown(text)}: {error}'
            ) from None
        return row, target, number

    def warn(self) -> None:
        """Say what is wrong with the answer, not too often."""
        option = self._question.option
        if self._skipped and _WARNINGS.is_due((option, 'skipped')):
            LOG.warning(
                'Of the answer to %(option)s %(count)d series are skipped, '
                'such as %(example)s; correct the query, or the labels by '
                'relabelling.',
                {
                    'option': option,
                    'count': self._skipped,
                    'example': self._wrong,
                },
            )
        if self._doubled and _WARNINGS.is_due((option, 'doubled')):
            LOG.warning(
                'In the answer to %(option)s %(count)d series are of a path '
                'that another is of, too, such as %(example)s, and the worst '
                'counts; write the query so that there is one for each site '
                'and origin.',
                {
                    'option': option,
                    'count': self._doubled,
                    'example': self._double,
                },
            )
        if not self.series and _WARNINGS.is_due((option, 'none')):
            LOG.warning(
                'The answer to %(option)s has no series; see whether '
                'Prometheus scrapes what the query asks for.',
                {'option': option},
            )


def _path(
    labels: collections.abc.Mapping[str, object],
) -> tuple[tuple[str, bool], str]:
    """Return site, whether the target is a site, and the target."""
    site = _name(labels, 'site')
    is_to_site = 'to_site' in labels
    if is_to_site and 'origin' in labels:
        raise ValueError('which has both labels, origin and to_site')
    target = _name(labels, 'to_site' if is_to_site else 'origin')
    if is_to_site and target == site:
        raise ValueError('which is of a site to itself')
    return (site, is_to_site), target


def _name(labels: collections.abc.Mapping[str, object], label: str) -> str:
    text = labels.get(label)
    if text is None or text == '':
        raise ValueError(f'which has no label {label}')
    if not isinstance(text, str) or len(text) > _MAX_NAME:
        raise ValueError(f'of which the label {label} is not a name')
    try:
        return _parse_name(text)
    except ValueError as error:
        raise ValueError(f'of which the label {label} {error}') from None


@functools.lru_cache(maxsize=20_000)
def _parse_name(text: str) -> str:
    return spelling.shared(spelling.parse_name(text))


def _shown_series(series: object) -> str:
    labels = series.get('metric') if isinstance(series, dict) else None
    if not isinstance(labels, dict):
        return 'one without labels'
    shown = ', '.join(
        f'{it}={spelling.shown(labels[it])}' for it in _LABELS if it in labels
    )
    return f'{{{shown}}}'


class _Session(requests.Session):
    """A session that does not look where an answer would lead.

    It would read the whole answer for that, whatever its size.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class _Query:
    """One query, which a thread has answered.

    :param settings: where Prometheus is
    :param question: what is asked
    :param words: how it is asked in PromQL
    """

    def __init__(
        self,
        settings: agent_conf.Settings,
        question: _Question,
        words: str,
    ) -> None:
        self.harvest = _Harvest(question)
        self.error: QueryError | None = None
        #: Set when nobody waits for it any more.
        self.is_over = False
        self._settings = settings
        self._words = words

    def run(self) -> None:
        """Ask, and read the answer."""
        try:
            with _Session() as session:
                # What is in the environment is no option of the agent.
                session.trust_env = False
                with self._post(session) as response:
                    self._read(response)
        except QueryError as error:
            self.error = error
        except Exception as error:
            # Its own words may have the password in them.
            self.error = _explained(error)

    def _post(self, session: requests.Session) -> requests.Response:
        timeout_s = self._settings.prometheus_timeout_s
        return session.post(
            self._settings.prometheus_url.rstrip('/') + '/api/v1/query',
            data={'query': self._words, 'timeout': f'{timeout_s:g}'},
            allow_redirects=False,
            stream=True,
            timeout=timeout_s,
            verify=self._settings.prometheus_cafile or True,
        )

    def _read(self, response: requests.Response) -> None:
        try:
            answer = _read_series(self._parts(response), self.harvest.add)
        except ijson.JSONError:
            answer = None
        if response.status_code != 200:
            raise _refused(response.status_code, answer)
        _check(answer)

    def _parts(
        self, response: requests.Response
    ) -> collections.abc.Iterator[bytes]:
        """Yield the answer in parts, as long as somebody waits for it."""
        size = 0
        for part in response.iter_content(_CHUNK):
            size += len(part)
            if size > MAX_BYTES:
                raise QueryError(
                    f'the answer has more than {MAX_BYTES // 1024**2} MB',
                    'write a query with one series for each site and origin',
                )
            if self.is_over:
                return
            # Before 2.6 urllib3 may unpack a thousand times as much.
            for at in range(0, len(part), _CHUNK):
                yield part[at : at + _CHUNK]


def _read_series(
    parts: collections.abc.Iterable[bytes],
    add: collections.abc.Callable[[object], None],
) -> object:
    """Read an answer as it comes, and take each series out of it.

    :param parts: of its JSON
    :param add: is given each series as soon as it is there
    :returns: the answer without its series
    :raises ijson.JSONError: if it is not JSON, or too long or too deep for an
        answer with series
    """
    builder = ijson.ObjectBuilder()
    events = ijson.sendable_list()
    # Not ijson.items(): it keeps the path to each list, and the path to a
    # list in thousands of lists is long.
    parser = ijson.basic_parse_coro(events, use_float=True)
    depth = length = 0
    for part in parts:
        length += len(part)
        parser.send(part)
        for event, value in events:
            builder.event(event, value)
            step = _STEPS.get(event, 0)
            depth += step
            if depth == _SERIES_DEPTH and step <= 0:
                match builder.value:
                    case {'data': {'result': [series] as items}}:
                        items.clear()
                        add(series)
                        length = 0
            elif depth > MAX_DEPTH:
                raise ijson.JSONError('too deep')
        events.clear()
        if length > MAX_TEXT:
            raise ijson.JSONError('too long')
    parser.close()
    return builder.value


def _check(answer: object) -> None:
    """Check an answer from which the series were taken.

    :raises QueryError: if it is none, or none with series
    """
    match answer:
        case {
            'status': 'success',
            'data': {'resultType': 'vector', 'result': []},
        }:
            return
        case {'status': 'success', 'data': {'resultType': str(kind)}}:
            raise QueryError(
                f'the answer is of type {spelling.shown(kind)}',
                'write a query for an instant vector',
            )
        case {'status': 'error'}:
            raise _refused(200, answer)
        case _:
            raise _nonsense()


def _nonsense() -> QueryError:
    return QueryError(
        'what answers is not the API of Prometheus, or broke off',
        'see what is at prometheus_url',
    )


def _late() -> QueryError:
    return QueryError(
        'the answer is not there in time',
        'raise prometheus_timeout, or have a recording rule prepare it',
    )


def _refused(status: int, answer: object) -> QueryError:
    """Return what an answer without figures means."""
    why = f'HTTP status {status}'
    match answer:
        case {'error': str(said)} if said:
            why += f', {spelling.printable(said[:_MAX_SAID])}'
    if 300 <= status < 400:
        next_step = 'set prometheus_url to where it leads'
    elif status in (401, 403):
        next_step = 'put a user and a password that may ask into the URL'
    elif status == 404:
        next_step = 'set prometheus_url to what comes before /api/v1'
    elif status >= 500 and status != 503:
        next_step = 'see what its log says'
    else:
        next_step = 'correct the query, or see what its log says'
    return QueryError(why, next_step)


def _explained(error: Exception) -> QueryError:
    """Return what an error means, in words of ours."""
    cause = _cause(error)
    if isinstance(cause, ssl.SSLError):
        why = getattr(cause, 'verify_message', '') or cause.reason
        return QueryError(
            f'TLS fails, {spelling.shown(why)}',
            'set prometheus_cafile to the certificates that vouch for it, '
            'or prometheus_url to where it speaks TLS',
        )
    if isinstance(cause, TimeoutError):
        return _late()
    if isinstance(error, ValueError):
        return QueryError('the URL cannot be used', 'correct prometheus_url')
    if isinstance(error, OSError) and not isinstance(
        error, requests.RequestException
    ):
        return QueryError(
            'its certificates cannot be read', 'correct prometheus_cafile'
        )
    why = getattr(cause, 'strerror', None) or type(cause).__name__
    return QueryError(
        f'the connection fails: {why}',
        'see whether it runs, and set prometheus_url to where',
    )


def _cause(error: BaseException) -> BaseException:
    """Return what an error began with."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def _shown_url(url: str) -> str:
    """Return a URL without its user, password and query."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return 'prometheus_url'
    where = parts.netloc.rpartition('@')[2]
    return spelling.printable(f'{parts.scheme}://{where}{parts.path}')
