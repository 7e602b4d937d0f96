"""What is said about the measurements: goals judged, and RESULTS.md written."""
from dataclasses import asdict, dataclass, field
from typing import NamedTuple, Optional

from comparison.rows import OWN
from comparison.stats import Interval, interval, spread

SUBJECT = 'txkv'
SUBJECT_RESP = 'txkv-resp'
MET, MISSED, UNKNOWN = 'met', 'MISSED', 'not measured'


class Unit(NamedTuple):
    divisor: float
    decimals: int
    text: str


UNITS = {
    'ns': Unit(1, 0, 'ns'),
    'us': Unit(1e3, 1, 'us'),
    'ms': Unit(1e6, 2, 'ms'),
    'B': Unit(1, 1, 'B'),
    'MB': Unit(1e6, 0, 'MB'),
    'MiB': Unit(2**20, 1, 'MiB'),
    'n': Unit(1, 0, ''),
    '1': Unit(1, 3, ''),
}


@dataclass
class Result:
    """Of a row: rounds holds for each round {server: {metric: number}}; one that failed is absent."""
    row: object
    rounds: list = field(default_factory=list)
    said: str = ''  # of the setting
    failures: list = field(default_factory=list)  # lines
    seconds: float = 0

    def servers(self):
        return list(dict.fromkeys(name for names in self.rounds for name in sorted(names, key=self.rank)))

    def rank(self, name):
        order = [SUBJECT, SUBJECT_RESP, *self.row.peers]
        return order.index(name) if name in order else len(order)

    def samples(self, server, metric):
        return [measured[server][metric] for measured in self.rounds if metric in measured.get(server, {})]


@dataclass
class Judgement:
    row: str
    what: str
    subject: str
    own: Optional[float]        # medians
    peer_name: str
    peer: Optional[float]
    metric_unit: str            # of these two
    figure: Optional[Interval]  # the ratio, or the value itself in its unit
    unit: str                   # of the figure; '' for a ratio
    goal: str
    verdict: str


def text(value, unit=''):
    """A number of a metric with separators and its unit."""
    u = UNITS[unit] if unit else Unit(1, 3, '')
    return f'{value / u.divisor:,.{u.decimals}f}' + (f' {u.text}' if u.text else '')


def unit_of(row, metric):
    return next(m.unit for m in row.metrics if m.name == metric)


def ratios(result, server, metric, peer, base):
    """Of the rounds in which both were measured. 0 to 0 is 1: neither took anything."""
    found = []
    for measured in result.rounds:
        x, y = measured.get(server, {}).get(metric), measured.get(peer, {}).get(base)
        if x is not None and y is not None and (y > 0 or x == 0):
            found.append(x / y if y > 0 else 1)
    return found


def client_bound(result, server, metric):
    samples = result.samples(server, metric + '_bound')
    return bool(samples) and spread(samples).median >= 0.5


def judge(result, goal, subject=SUBJECT):
    """Whether the median reaches the goal."""
    row, metric, what = result.row, goal.metric, goal.what
    peer = subject if goal.peer == OWN else goal.peer
    if goal.when_bound and (client_bound(result, subject, metric) or client_bound(result, peer, metric)):
        metric, what = goal.when_bound, f'{what} of server CPU (client-bound)'
    base = goal.base or metric
    unit = '' if goal.peer else unit_of(row, metric)
    divisor = UNITS[unit].divisor if unit else 1
    own, others = result.samples(subject, metric), result.samples(peer, base)
    figures = ratios(result, subject, metric, peer, base) if goal.peer else [x / divisor for x in own]
    bound = goal.resp_limit if subject == SUBJECT_RESP and goal.resp_limit else goal.limit
    limit = f'{bound:,g}' + (f' {UNITS[unit].text}' if unit else '')
    judged = interval(figures) if figures else None
    verdict = UNKNOWN
    if judged:
        verdict = MET if (judged.median >= bound if goal.at_least else judged.median <= bound) else MISSED
    return Judgement(row.name, what, subject, spread(own).median if own else None,
                     'itself' if goal.peer == OWN else goal.peer or '', spread(others).median if others else None,
                     unit_of(row, metric), judged, unit,
                     ('at least ' if goal.at_least else 'at most ') + limit, verdict)


def judgements(results):
    """Of all goals; the second protocol is judged where it was measured."""
    return [judge(result, goal, subject) for result in results for goal in result.row.goals
            for subject in (SUBJECT, SUBJECT_RESP) if subject == SUBJECT or subject in result.servers()]


def cell(value):
    return str(value).replace('|', '\\|').replace('\n', ' ')


def table(head, lines, left=1):
    """Of Markdown; all columns but the first ones stand to the right."""
    align = ['---'] * left + ['---:'] * (len(head) - left)
    return ['| ' + ' | '.join(map(cell, line)) + ' |' for line in (head, align, *lines)]


def bracketed(judged, unit=''):
    u = UNITS[unit] if unit else Unit(1, 3, '')
    places = f',.{max(u.decimals, 1) if unit else 3}f'
    unit_text = f' {u.text}' if u.text else ''
    return f'{judged.median:{places}} [{judged.low:{places}}, {judged.high:{places}}]{unit_text}'


def goal_line(judged):
    own = '-' if judged.own is None else text(judged.own, judged.metric_unit)
    peer = '-' if judged.peer is None else f'{judged.peer_name} {text(judged.peer, judged.metric_unit)}'
    figure = '-' if judged.figure is None else bracketed(judged.figure, judged.unit)
    name = judged.subject.replace(SUBJECT, '').replace('-resp', ' (RESP)')
    verdict = f'**{judged.verdict}**' if judged.verdict == MISSED else judged.verdict
    return [f'[{judged.row}](#{judged.row}){name}', judged.what, own, peer, figure, judged.goal, verdict]


def goal_table(results, judged_all, resp):
    lines = []
    for result in results:
        lines += [goal_line(judged) for judged in judged_all if judged.row == result.row.name]
        if not resp:
            lines.append([f'{result.row.name} (RESP)', 'the same', '-', '-', '-', 'the same', 'RESP: not served yet'])
        elif SUBJECT_RESP not in result.servers() and not result.row.restarts:
            lines.append([f'{result.row.name} (RESP)', 'the same', '-', '-', '-', 'the same', 'RESP: not measured'])
    head = ['row', 'what', 'txkv', 'peer', 'ratio, or value [interval]', 'goal', 'result']
    return table(head, lines, 2)


def spread_text(samples, unit):
    s = spread(samples)
    if len(samples) == 1:
        return text(s.median, unit)
    u = UNITS[unit]
    return text(s.median, unit) + ' (' + ' to '.join(f'{x / u.divisor:,.{u.decimals}f}' for x in (s.q1, s.q3)) + ')'


def server_line(result, server):
    columns = []
    for metric in result.row.metrics:
        samples = result.samples(server, metric.name)
        columns.append(spread_text(samples, metric.unit) if samples else '-')
    return [server, *columns]


def ratio_line(result, server):
    columns = []
    for metric in result.row.metrics:
        figures = ratios(result, SUBJECT, metric.name, server, metric.name) if metric.compared else []
        columns.append(bracketed(interval(figures)) if figures else '-')
    return [f'txkv / {server}', *columns]


def section(result, words, rounds):
    row = result.row
    head = ['server', *(metric.label for metric in row.metrics)]
    others = [server for server in result.servers() if server != SUBJECT]
    lines = [f'## {row.name}', '', f'**{row.title.format(**words)}.** ' + row.how.format(**words)]
    lines += [result.said] if result.said else []
    if 0 < len(result.rounds) != rounds:
        lines.append(f'Rounds of this row: {len(result.rounds)}; in brackets stands {interval_text(len(result.rounds))}.')
    lines += ['', *table(head, [server_line(result, server) for server in result.servers()]
                         + [ratio_line(result, server) for server in others])]
    if result.failures:
        lines += ['', *(f'- failed: {failure}' for failure in result.failures)]
    return [*lines, '']


METHOD = '''\
Every round starts fresh servers, one after the other, for each row: where the pages of a process lie in memory makes
the same program differ by up to 20% from process to process, for its whole life. The order of the servers is reversed
each round. Servers have one core, the load generator another. Figures are medians, with quartiles in parentheses. A
ratio is the median of the ratios of the rounds; in brackets stands {interval}.
A goal is judged by the median.

All servers keep data in memory only (Redis: `--save '' --appendonly no`; memcached: `-t 1`). The null server is the
same libuv loop as txkv-server's, answering a constant: what the network costs.
'''


def interval_text(rounds):
    if rounds == 1:
        return 'that one ratio, as there was a single round'
    coverage = interval([0] * rounds).coverage
    return f'the {100 * coverage:.1f}% interval of that median (the sign test\'s)'


def markdown(facts, results, words, *, rounds, quick=False, page=None, page_is_earlier=False, resp=False):
    """The whole of RESULTS.md. facts are pairs, said of the run; words are what the rows' texts are filled in from;
    page is the name of the page, and whether an earlier run wrote it, or None."""
    judged = judgements(results)
    counts = {verdict: sum(j.verdict == verdict for j in judged) for verdict in (MET, MISSED, UNKNOWN)}
    lines = ['# txkv beside its peers', '']
    if quick:
        lines += ['> **This was a quick run: short, few rounds, few keys. It shows that every row works; its figures '
                  'are not to be quoted.**', '']
    lines += ['Written by `bench/compare`; do not edit.', '']
    lines += table(['', ''], [[f'**{name}**', value] for name, value in facts], 2)
    lines += ['', 'Goals: ' + ', '.join(f'{n} {verdict}' for verdict, n in counts.items()) + '.']
    if page:
        when = ', of an earlier run' if page_is_earlier else ''
        lines.append(f'The latency curves and timelines of the pipelined rows{when}: [{page}]({page}).')
    lines += ['', *goal_table(results, judged, resp), '', '## How it was measured', '',
              METHOD.format(interval=interval_text(rounds))]
    for result in results:
        lines += section(result, words, rounds)
    return '\n'.join(lines).rstrip('\n') + '\n'


EARLIER = 'Measured in an earlier run'


def has_all(found, row):
    """Whether a row's numbers have each of its metrics, of some server."""
    names = {name for measured in found['rounds'] for figures in measured.values() for name in figures}
    return all(metric.name in names for metric in row.metrics)


def results_of(numbers, rows):
    """What raw() gave, as results again. Those of rows that are no more, or have got other metrics, are left out."""
    facts = numbers['facts']
    build = f", {facts['compiler']}" if 'compiler' in facts else ''
    when = f"{EARLIER}: {facts['date']}, source {facts['source']}{build}."
    return {found['name']: Result(rows[found['name']], found['rounds'],
                                  found['said'] if EARLIER in found['said'] else f"{found['said']} {when}".strip(),
                                  found['failures'], found['seconds'])
            for found in numbers['rows'] if found['name'] in rows and has_all(found, rows[found['name']])}


def raw(facts, results):
    """All numbers, for --json."""
    return {'facts': dict(facts),
            'rows': [{'name': r.row.name, 'said': r.said, 'seconds': r.seconds, 'failures': r.failures,
                      'rounds': r.rounds} for r in results],
            'goals': [{**asdict(j), 'figure': j.figure._asdict() if j.figure else None} for j in judgements(results)]}
