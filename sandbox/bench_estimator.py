# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES A FIGURE HAVE TO FORGET? Ways to make one of probes, compared.

Users go to the site that the figures of the last interval have as the nearest.
What that costs beyond the nearest in truth, an interval later, stands beside
what the last value alone would have cost. Then: how many intervals pass until
a figure follows its path.
"""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import itertools
import pathlib
import statistics

import numpy

from edge_filters.agent import estimator
from edge_filters.agent import reading
from sandbox import report

SEED = 20261123
REFERENCE = 'last value'
INTERVAL_S = 60.0

# Of the world that is made up: how many nodes, how often the RTT of a path
# changes for good, and how often a probe is late or its path is cut.
NODES = 40
INTERVALS = 200
STEP = 0.02
LATE = 0.05
CUT, MENDED = 0.001, 0.1

# A step is followed once the figure is within this of it.
NEAR = 0.1

# RTT in milliseconds by interval, user and site; nan: no answer.
Rtts = numpy.ndarray
Policy = Callable[[Rtts], Rtts]


@dataclasses.dataclass(frozen=True)
class Excess:
    """What one policy cost.

    :param excess_ms: mean of what the site chosen is farther than the nearest
    :param ratio: the same, beside the last value alone
    :param unreachable_pct: how many users it sent to where nobody answered
    """

    policy: str
    excess_ms: float
    ratio: float
    unreachable_pct: float


@dataclasses.dataclass(frozen=True)
class Response:
    """After how many intervals a figure follows its path, or by how much.

    :param typical: the median of all runs
    :param worst: the worst of all runs
    """

    name: str
    unit: str
    typical: float
    worst: float


def last_value(rtts_ms: Rtts) -> Rtts:
    return rtts_ms


def ours(rtts_ms: Rtts) -> Rtts:
    """Return what the estimator of the agent makes of one probe each."""
    published = numpy.full(rtts_ms.shape, numpy.nan)
    for user, site in numpy.ndindex(rtts_ms.shape[1:]):
        path = estimator.Estimator('median')
        for interval, rtt_ms in enumerate(rtts_ms[:, user, site].tolist()):
            answers = () if rtt_ms != rtt_ms else (rtt_ms,)
            figure = path.add(
                [reading.Echoes(answers, 1, interval * INTERVAL_S)]
            )
            if figure is not None and figure.rtt_ms is not None:
                published[interval, user, site] = figure.rtt_ms
    return published


def kept(rtts_ms: Rtts) -> Rtts:
    """Return the last answer, however long ago."""
    published = rtts_ms.copy()
    for before, now in itertools.pairwise(published):
        numpy.copyto(now, before, where=numpy.isnan(now))
    return published


def of_last(count: int, statistic: Callable[..., Rtts]) -> Policy:
    """Return the policy of a statistic of the last few answers."""

    def policy(rtts_ms: Rtts) -> Rtts:
        answers = kept(rtts_ms)
        published = answers.copy()
        for interval in range(count - 1, len(answers)):
            published[interval] = statistic(
                answers[interval - count + 1 : interval + 1], axis=0
            )
        return numpy.where(numpy.isnan(rtts_ms), numpy.nan, published)

    return policy


def moving_average(weight: float) -> Policy:
    """Return the policy of an average in which the past fades.

    :param weight: of the last value
    """

    def policy(rtts_ms: Rtts) -> Rtts:
        published = kept(rtts_ms)
        for before, now in itertools.pairwise(published):
            mean = weight * now + (1 - weight) * before
            numpy.copyto(now, mean, where=~numpy.isnan(before))
        return numpy.where(numpy.isnan(rtts_ms), numpy.nan, published)

    return policy


def held(times: float) -> Policy:
    """Return the policy that believes a jump when it is seen twice.

    :param times: what a jump is
    """

    def policy(rtts_ms: Rtts) -> Rtts:
        answers = kept(rtts_ms)
        published = answers.copy()
        was_jump = numpy.zeros(answers.shape[1:], dtype=bool)
        for before, now in itertools.pairwise(published):
            is_jump = (now > times * before) & ~was_jump
            numpy.copyto(now, before, where=is_jump)
            was_jump = is_jump
        return numpy.where(numpy.isnan(rtts_ms), numpy.nan, published)

    return policy


POLICIES: dict[str, Policy] = {
    REFERENCE: last_value,
    'the estimator': ours,
    'last answer, kept': kept,
    'median of 2': of_last(2, numpy.median),
    'median of 3': of_last(3, numpy.median),
    'least of 3': of_last(3, numpy.min),
    'largest of 3': of_last(3, numpy.max),
    'average, 0.9': moving_average(0.9),
    'average, 0.5': moving_average(0.5),
    'jump x3 held': held(3),
}


def made_up(intervals: int, nodes: int) -> Rtts:
    """Return a world with steps, cut links and a heavy tail."""
    rng = numpy.random.default_rng(SEED)
    shape = (nodes, nodes)
    level_ms = rng.lognormal(4, 0.7, shape)
    is_cut = numpy.zeros(shape, dtype=bool)
    rtts_ms = numpy.empty((intervals, *shape))
    for now in rtts_ms:
        changes = rng.random(shape) < STEP
        level_ms = numpy.where(changes, rng.lognormal(4, 0.7, shape), level_ms)
        chance = rng.random(shape)
        is_cut = numpy.where(is_cut, chance >= MENDED, chance < CUT)
        late_ms = numpy.where(
            rng.random(shape) < LATE, 20 * rng.pareto(1.5, shape), 0
        )
        now[:] = level_ms + rng.exponential(1, shape) + late_ms
        now[is_cut] = numpy.nan
    return rtts_ms


def read_matrix(file: pathlib.Path) -> Rtts:
    """Return the ``rtt_ms`` of an npz file, in which 0 is no answer."""
    with numpy.load(file) as arrays:
        rtts_ms = arrays['rtt_ms'].astype(float)
    return numpy.where(rtts_ms > 0, rtts_ms, numpy.nan)


def compare(world: Rtts, sites: int, draws: int) -> list[Excess]:
    """Return what each policy costs, with random nodes as sites."""
    rng = numpy.random.default_rng(SEED)
    costs: dict[str, list[tuple[float, float]]] = {it: [] for it in POLICIES}
    for _ in range(draws):
        nodes = rng.permutation(world.shape[1])
        rtts_ms = world[:, nodes[sites:]][:, :, nodes[:sites]]
        for name, policy in POLICIES.items():
            costs[name].append(_cost(policy(rtts_ms)[:-1], rtts_ms[1:]))
    excess_ms = {
        name: statistics.mean(it for it, _ in cost)
        for name, cost in costs.items()
    }
    return [
        Excess(
            name,
            excess_ms[name],
            excess_ms[name] / excess_ms[REFERENCE],
            100 * statistics.mean(it for _, it in cost),
        )
        for name, cost in costs.items()
    ]


def _cost(published: Rtts, true: Rtts) -> tuple[float, float]:
    """Return the mean excess, and the share of users whom nobody answers."""
    published, true = (
        numpy.nan_to_num(it, nan=numpy.inf) for it in (published, true)
    )
    chosen = published.argmin(axis=-1)[..., numpy.newaxis]
    rtt_ms = numpy.take_along_axis(true, chosen, axis=-1)[..., 0]
    nearest_ms = true.min(axis=-1)
    could = numpy.isfinite(nearest_ms)
    did = could & numpy.isfinite(rtt_ms)
    return (
        float((rtt_ms[did] - nearest_ms[did]).mean()),
        1 - float(did.sum() / could.sum()),
    )


class Path:
    """A path whose probes are random, and what the agent says of it."""

    def __init__(self, seed: int, probes: int) -> None:
        self.estimator = estimator.Estimator('median')
        self._rng = numpy.random.default_rng(SEED + seed)
        self._probes = probes
        self._at = 0.0

    def figure(self, rtt_ms: float, loss: float) -> tuple[float | None, float]:
        """Return RTT and loss in percent, after one more interval."""
        self._at += INTERVAL_S
        answered = self._rng.binomial(self._probes, 1 - loss)
        is_late = self._rng.random(answered) < LATE
        late_ms = 20 * self._rng.pareto(1.5, answered) * is_late
        rtts_ms = rtt_ms + self._rng.exponential(0.2, answered) + late_ms
        figure = self.estimator.add(
            [reading.Echoes(tuple(rtts_ms.tolist()), self._probes, self._at)]
        )
        assert figure is not None and figure.loss_pct is not None
        return figure.rtt_ms, figure.loss_pct


def respond(runs: int, probes: int) -> list[Response]:
    """Return how fast the figures follow what happens to their paths."""
    changes = {
        'RTT 20 to 60 ms': (20.0, 0.0, 60.0, 0.0),
        'RTT 60 to 20 ms, 10 % loss': (60.0, 0.1, 20.0, 0.1),
        'link cut': (20.0, 0.0, 20.0, 1.0),
        'link cut, 30 % loss before': (20.0, 0.3, 20.0, 1.0),
        'link mended': (20.0, 1.0, 20.0, 0.0),
    }
    responses = []
    for name, (*before, rtt_ms, loss) in changes.items():
        taken = []
        for run in range(runs):
            path = Path(run, probes)
            for _ in range(100):
                path.figure(*before)
            count = 1
            while not _is_there(path.figure(rtt_ms, loss)[0], rtt_ms, loss):
                count += 1
            taken.append(count)
        responses.append(_response(name, 'intervals', taken))
    for before_pct, after_pct in ((0, 30), (30, 0), (0, 5)):
        for intervals in (2, 5, 30):
            wrong = []
            for run in range(runs):
                path = Path(run, probes)
                for _ in range(360):
                    path.figure(20, before_pct / 100)
                for _ in range(intervals):
                    _, loss_pct = path.figure(20, after_pct / 100)
                wrong.append(abs(loss_pct - after_pct))
            name = f'loss {before_pct} to {after_pct} %, after {intervals}'
            responses.append(_response(name, 'points', wrong))
    return responses


def _is_there(figure_ms: float | None, rtt_ms: float, loss: float) -> bool:
    if figure_ms is None or loss == 1:
        return figure_ms is None and loss == 1
    return abs(figure_ms - rtt_ms) <= NEAR * rtt_ms


def _response(name: str, unit: str, values: Sequence[float]) -> Response:
    return Response(name, unit, statistics.median(values), max(values))


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    world = (
        read_matrix(options.matrix)
        if options.matrix
        else made_up(INTERVALS, NODES)
    )
    excesses = compare(world, options.sites, options.draws)
    print(
        f'{world.shape[1]} nodes, {options.sites} of them sites, '
        f'{len(world)} intervals of one probe, {options.draws} draws\n'
    )
    line = '{:22}{:>12}{:>9}{:>15}'
    print(line.format('', 'excess', 'ratio', 'no answer'))
    for it in excesses:
        print(
            line.format(
                it.policy,
                f'{it.excess_ms:.2f} ms',
                f'{it.ratio:.3f}',
                f'{it.unreachable_pct:.3f} %',
            )
        )
    responses = respond(options.runs, options.probes)
    print(f'\n{options.probes} probes an interval, {options.runs} runs\n')
    line = '{:32}{:>10}{:>9}  {}'
    print(line.format('', 'typical', 'worst', '').rstrip())
    for response in responses:
        print(
            line.format(
                response.name,
                f'{response.typical:.3g}',
                f'{response.worst:.3g}',
                response.unit,
            )
        )
    told = {
        'nodes': world.shape[1],
        'sites': options.sites,
        'intervals': len(world),
        'draws': options.draws,
        'excess': [dataclasses.asdict(it) for it in excesses],
        'probes': options.probes,
        'runs': options.runs,
        'response': [dataclasses.asdict(it) for it in responses],
    }
    report.write(told, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m sandbox.bench_estimator',
        description='Compare what is published with what is true.',
    )
    parser.add_argument(
        '--matrix',
        metavar='FILE',
        type=pathlib.Path,
        help='an npz file whose rtt_ms has the RTTs between nodes, by '
        'interval, 0 where no answer came (default: a world that is made up)',
    )
    for name, default, what in (
        ('sites', 10, 'how many nodes are sites'),
        ('draws', 3, 'how often sites are drawn'),
        ('runs', 20, 'how often a path is changed'),
        ('probes', 10, 'how many probes are sent along it in an interval'),
    ):
        parser.add_argument(
            f'--{name}',
            type=int,
            default=default,
            help=f'{what} (default: %(default)s)',
        )
    report.add_option(parser)
    return parser


if __name__ == '__main__':
    raise SystemExit(main())
