#!/usr/bin/env python3
"""The parts of bench/compare that need no server: statistics, judgement, the document, the files, options."""
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import types
import unittest
from dataclasses import replace
from unittest import mock

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
# pylint: disable=wrong-import-position
from comparison import facts, report, servers, stats
from comparison.rows import OWN, QUICK, ROWS, Goal, Metric, Row, Run

WORDS = {'keys': '1k', 'big': '2k', 'many': '3k', 'idle': '10', 'duration': 1, 'churn': 1, 'churn_s': 1}


def result(rounds, goals, metrics=(Metric('cpu', 'CPU', 'ns'),)):
    row = Row('some', 'Of {keys} keys', 'For {duration} s.', ('redis', 'null'), metrics, goals, None)
    return report.Result(row, rounds)


def rounds(own, peer, metric='cpu'):
    return [{'txkv': {metric: x}, 'redis': {metric: y}} for x, y in zip(own, peer)]


class Statistics(unittest.TestCase):
    """The cases of test_stats.c."""

    def test_spread(self):
        self.assertEqual(stats.spread([7]), (7, 7, 7))
        self.assertEqual(stats.spread([5, 1, 4, 2, 3]), (3, 2, 4))
        self.assertEqual(stats.spread([1, 2, 3, 4]).median, 2.5)

    def test_interval_covers_what_the_binomial_says(self):
        samples = list(range(1, 21))
        self.assertEqual(stats.interval(samples[:5]), (3, 1, 5, 0.9375))
        nine = stats.interval(samples[:9])
        self.assertEqual(nine[1:3], (2, 8))
        self.assertAlmostEqual(nine.coverage, 0.9609, 4)
        twenty = stats.interval(samples)
        self.assertEqual(twenty[1:3], (6, 15))
        self.assertAlmostEqual(twenty.coverage, 0.9586, 4)
        self.assertEqual(stats.interval([1]).coverage, 0)


class Judging(unittest.TestCase):
    def test_the_median_of_the_pairs_decides_not_the_ratio_of_the_medians(self):
        judged = report.judge(result(rounds([1, 2, 30], [2, 4, 300]), ()), Goal('x', 'cpu', 0.5, 'redis'))
        self.assertEqual(judged.figure[:3], (0.5, 0.1, 0.5))
        self.assertEqual((judged.own, judged.peer, judged.verdict), (2, 4, report.MET))

    def test_just_above_the_limit_is_missed(self):
        judged = report.judge(result(rounds([51], [100]), ()), Goal('x', 'cpu', 0.5, 'redis'))
        self.assertEqual((judged.verdict, judged.goal), (report.MISSED, 'at most 0.5'))

    def test_resp_may_have_a_limit_of_its_own(self):
        r = result([{'txkv': {'cpu': 55}, 'txkv-resp': {'cpu': 55}, 'redis': {'cpu': 100}}], ())
        goal = Goal('x', 'cpu', 0.5, 'redis', resp_limit=0.6)
        self.assertEqual([report.judge(r, goal, s).verdict for s in ('txkv', 'txkv-resp')], [report.MISSED, report.MET])
        self.assertEqual(report.judge(r, goal, 'txkv-resp').goal, 'at most 0.6')

    def test_at_least(self):
        for own, verdict in ((120, report.MET), (119, report.MISSED)):
            judged = report.judge(result(rounds([own], [100]), ()), Goal('x', 'cpu', 1.2, 'redis', at_least=True))
            self.assertEqual((judged.verdict, judged.goal), (verdict, 'at least 1.2'))

    def test_a_limit_of_its_own_counts_in_the_unit(self):
        r = result(rounds([1.9e6], [9e6]), (), (Metric('cpu', 'stall', 'ms'),))
        judged = report.judge(r, Goal('x', 'cpu', 2))
        self.assertEqual((judged.figure.median, judged.goal, judged.verdict), (1.9, 'at most 2 ms', report.MET))
        self.assertIsNone(judged.peer)

    def test_against_another_metric_of_its_own(self):
        r = result([{'txkv': {'cpu': 12, 'alone': 10}}], (), (Metric('cpu', '', 'ns'), Metric('alone', '', 'ns')))
        judged = report.judge(r, Goal('x', 'cpu', 1.1, OWN, 'alone'))
        self.assertEqual((judged.figure.median, judged.peer_name, judged.verdict), (1.2, 'itself', report.MISSED))

    def test_a_failed_measurement_breaks_its_pair_only(self):
        r = result([{'txkv': {'cpu': 1}}, {'txkv': {'cpu': 1}, 'redis': {'cpu': 2}}, {}], ())
        self.assertEqual(report.judge(r, Goal('x', 'cpu', 1, 'redis')).figure[:3], (0.5, 0.5, 0.5))

    def test_nothing_measured_is_not_met(self):
        judged = report.judge(result([{}], ()), Goal('x', 'cpu', 1, 'redis'))
        self.assertEqual((judged.verdict, judged.figure), (report.UNKNOWN, None))

    def test_where_the_client_was_the_limit_cpu_decides(self):
        metrics = (Metric('get', 'GET', 'MB'), Metric('get_cpu', 'GET CPU', 'MB'))
        goal = Goal('bytes', 'get', 1.2, 'redis', at_least=True, when_bound='get_cpu')
        for bound, figure in ((0, 1), (1, 2)):
            r = result([{'txkv': {'get': 5, 'get_cpu': 8, 'get_bound': bound},
                         'redis': {'get': 5, 'get_cpu': 4, 'get_bound': 0}}], (), metrics)
            judged = report.judge(r, goal)
            self.assertEqual(judged.figure.median, figure)
            self.assertEqual('client-bound' in judged.what, bool(bound))

    def test_the_second_protocol_is_judged_where_it_is_served(self):
        r = result(rounds([1], [2]), (Goal('x', 'cpu', 1, 'redis'),))
        self.assertEqual([j.subject for j in report.judgements([r])], ['txkv'])
        r.rounds[0]['txkv-resp'] = {'cpu': 3}
        self.assertEqual([j.verdict for j in report.judgements([r])], [report.MET, report.MISSED])


class Document(unittest.TestCase):
    def write(self, r, **more):
        return report.markdown([('date', 'today'), ('odd', 'a|b')], [r], WORDS, rounds=len(r.rounds), **more)

    def test_goals_and_sections(self):
        r = result(rounds([1000, 2000], [4000, 4000]), (Goal('CPU', 'cpu', 0.1, 'redis'),))
        written = self.write(r)
        self.assertIn('| [some](#some) | CPU | 1,500 ns | redis 4,000 ns | 0.375 [0.250, 0.500] | at most 0.1 | '
                      '**MISSED** |', written)
        self.assertIn('Goals: 0 met, 1 MISSED, 0 not measured.', written)
        self.assertIn('the 50.0% interval', written)
        self.assertIn('**Of 1k keys.** For 1 s.', written)
        self.assertIn('| txkv | 1,500 ns (1,250 to 1,750) |', written)
        self.assertIn('| txkv / redis | 0.375 [0.250, 0.500] |', written)
        self.assertIn('RESP: not served yet', written)
        self.assertIn('a\\|b', written)
        self.assertNotIn('quick run', written)

    def test_a_row_of_other_rounds_says_so(self):
        r = result(rounds([1, 2], [4, 4]), (Goal('CPU', 'cpu', 0.1, 'redis'),))
        other = report.markdown([], [r], WORDS, rounds=5)
        self.assertIn('Rounds of this row: 2; in brackets stands the 50.0% interval', other)
        self.assertNotIn('Rounds of this row', self.write(r))

    def test_what_cannot_be_compared_has_no_ratio(self):
        metrics = (Metric('cpu', 'CPU', 'ns'), Metric('share', 'share', '1', False))
        r = result([{name: {'cpu': 1, 'share': 1} for name in ('txkv', 'redis')}], (), metrics)
        self.assertIn('| txkv / redis | 1.000 [1.000, 1.000] | - |', self.write(r))

    def test_what_is_said_of_the_run(self):
        r = result(rounds([1], [1]), (Goal('CPU', 'cpu', 1, 'redis'),))
        r.said, r.failures = 'The rate is 5.', ['redis, round 1: broken']
        written = self.write(r, quick=True, page='results.html', resp=True)
        for text in ('**This was a quick run', '(results.html)', 'The rate is 5.', '- failed: redis, round 1: broken'):
            self.assertIn(text, written)
        self.assertNotIn('not served yet', written)

    def test_numbers(self):
        self.assertEqual(report.text(1234567.8, 'ns'), '1,234,568 ns')
        self.assertEqual(report.text(1234567.8, 'us'), '1,234.6 us')
        self.assertEqual(report.text(1234567, 'n'), '1,234,567')

    def test_every_row_can_be_written(self):
        names = [row.name for row in ROWS]
        self.assertEqual(len(names), len(set(names)))
        for row in ROWS:
            metrics = [metric.name for metric in row.metrics]
            for goal in row.goals:
                wanted = {goal.metric, goal.base or goal.metric, goal.when_bound or goal.metric}
                self.assertLessEqual(wanted, set(metrics), row.name)
                self.assertIn(goal.peer, (None, OWN, *row.peers))
            measured = {name: dict.fromkeys(metrics, 1.0) for name in ('txkv', *row.peers)}
            written = self.write(report.Result(row, [measured] * 3))
            self.assertNotIn('{', written)
            self.assertEqual(written.count(f'[{row.name}](#{row.name})'), len(row.goals))
            self.assertGreaterEqual(row.connections(QUICK) or QUICK.idle, QUICK.idle)


class Command(unittest.TestCase):
    def test_no_path_of_the_machine_is_shown(self):
        for words, shown in ((['--with', '/a/b.json', '--json=/c/d e.json'], "--with b.json '--json=d e.json'"),
                             (['--output', '/a/b/', '--build', '../c', '--rows', 'idle'],
                              '--output b --build c --rows idle'),
                             (['--out', '/a/b', '--w=/c/d'], '--out b --w=d'),
                             (['--output', '.', '--json', 'plain'], '--output . --json plain'),
                             (['--quick', '--peer', 'a=h:1,resp'], '--quick --peer a=h:1,resp')):
            self.assertEqual(facts.command_text(['bench/compare', *words]), f'bench/compare {shown}')


class Machine(unittest.TestCase):
    def test_the_longest_stop_and_how_many(self):
        ticks = iter((0, 0.0005, 0.0010, 0.0030, 0.0035, 0.0095, 0.0100, 1.0, 2.0))
        self.assertEqual([round(x, 3) for x in facts.stops_of(0.01, lambda: next(ticks))], [6.0, 2])

    def test_every_core_is_watched_and_all_may_be_used_afterwards(self):
        before = os.sched_getaffinity(0)
        text = facts.stops_text(sorted(before)[:2], 0.001)
        for core in sorted(before)[:2]:
            self.assertRegex(text, rf'core {core} up to [\d.]+ ms, \d+ times over 1 ms')
        self.assertEqual(os.sched_getaffinity(0), before)


class Ranks(unittest.TestCase):
    """Where that is not allowed, a process runs as all do."""

    def test_a_process_goes_before_others_and_the_one_behind_it_as_before(self):
        processes = servers.Processes('', 0)
        self.addCleanup(processes.end_all)
        ask = [sys.executable, '-c', 'import os; print(os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))']
        usual = processes.run(ask)
        first = processes.run(ask, servers.Rank.FIRST)
        following = processes.run(ask, servers.Rank.NEXT)
        self.assertIn(first, (usual, f'{os.SCHED_FIFO} 0\n'))
        self.assertIn(following, (usual, f'{os.SCHED_OTHER} -20\n'))
        self.assertEqual(processes.run(ask), usual)


class Earlier(unittest.TestCase):
    def test_numbers_become_the_same_results_again(self):
        row = ROWS[0]
        figures = {metric.name: 5.0 for metric in row.metrics}
        result = report.Result(row, [{'txkv': figures}], 'Said.', ['redis, round 1: it failed'], 7.5)
        facts = [('date', 'today'), ('source', 'abc')]
        numbers = report.raw(facts, [result])
        known = {row.name: row}
        again = report.results_of(numbers, known)[row.name]
        self.assertEqual((again.row, again.rounds, again.failures, again.seconds),
                         (row, result.rounds, result.failures, result.seconds))
        self.assertEqual(again.said, 'Said. Measured in an earlier run: today, source abc.')
        once_more = report.results_of(report.raw([('date', 'tomorrow'), ('source', 'def')], [again]), known)[row.name]
        self.assertEqual(once_more.said, again.said)
        self.assertEqual(report.results_of(numbers, {}), {})
        built = report.raw([*facts, ('compiler', 'gcc 12, release')], [result])
        self.assertEqual(report.results_of(built, known)[row.name].said,
                         'Said. Measured in an earlier run: today, source abc, gcc 12, release.')
        other = replace(row, metrics=(*row.metrics, Metric('new', 'new', 'us')))
        self.assertEqual(report.results_of(numbers, {row.name: other}), {})


def load_compare():
    """bench/compare, whose name has no suffix, as a module."""
    loader = importlib.machinery.SourceFileLoader('compare', os.path.join(HERE, 'compare'))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('compare', loader))
    loader.exec_module(module)
    return module


compare = load_compare()
PAGE_LINE = 'The latency curves and timelines of the pipelined rows: [results.html](results.html).'
EARLIER_PAGE_LINE = PAGE_LINE.replace(' rows:', ' rows, of an earlier run:')


class Files(unittest.TestCase):
    """What a run leaves, of rows that need no server."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.output = directory.name

    def path(self, name):
        return os.path.join(self.output, name)

    def read(self, name):
        with open(self.path(name), encoding='utf-8') as file:
            return file.read()

    def put(self, name, content):
        with open(self.path(name), 'w', encoding='utf-8') as file:
            file.write(content)

    @staticmethod
    def row(name, measure=lambda *_: {'cpu': 1.0}):
        return Row(name, 'Title', 'How.', (), (Metric('cpu', 'CPU', 'ns'),), (), measure, pipeline=1, restarts=True)

    def run_rows(self, *rows, write_page=lambda *_: None, no_page=False, rounds_each=1):
        arguments = types.SimpleNamespace(rows=None, earlier=[], peer=[], build='', output=self.output, no_page=no_page,
                                          json=self.path('all.json'), quick=False, check=False, cores=(0, 1))
        progress = types.SimpleNamespace(say=lambda _: None, elapsed=lambda: '1:02 minutes')
        nothing = {name: lambda *_: None for name in ('needed', 'raise_limits', 'serves_resp')}
        with mock.patch.multiple(compare, ROWS=rows, write_page=write_page, facts_of=lambda *_: [('date', 'today')],
                                 **nothing), contextlib.redirect_stdout(io.StringIO()):
            return compare.compare(arguments, Run(None, None, replace(QUICK, rounds=rounds_each)), progress)

    def check_broken_off(self, said, missing):
        written = self.read('RESULTS.md')
        for text in ('## one', said, EARLIER_PAGE_LINE):
            self.assertIn(text, written)
        self.assertNotIn(missing, written)
        self.assertEqual(self.read('results.html'), 'old')
        self.assertEqual(json.loads(self.read('all.json'))['rows'][0]['name'], 'one')
        self.assertEqual(sorted(os.listdir(self.output)), ['RESULTS.md', 'all.json', 'results.html'])

    def test_a_signal_leaves_the_rows_measured_so_far(self):
        for signum in (signal.SIGTERM, signal.SIGINT):
            def interrupted(*_, signum=signum):
                signal.raise_signal(signum)
                self.fail('the signal did nothing')
            self.addCleanup(signal.signal, signum, signal.signal(signum, compare.on_signal))
            self.put('results.html', 'old')
            with self.assertRaises(SystemExit) as end:
                self.run_rows(self.row('one'), self.row('two', interrupted), self.row('three'))
            self.assertEqual(end.exception.code, 128 + signum)
            self.check_broken_off('| **took** | 1:02 minutes up to row 1 of 3 |', '## two')

    def test_a_row_that_is_broken_off_keeps_its_rounds(self):
        left = [{'cpu': 1.0}, {'cpu': 2.0}]

        def interrupted(*_):
            return left.pop() if left else sys.exit(143)
        with self.assertRaises(SystemExit):
            self.run_rows(self.row('one', interrupted), no_page=True, rounds_each=5)
        written = self.read('RESULTS.md')
        self.assertIn('| **took** | 1:02 minutes up to round 2 of row 1 of 1 |', written)
        self.assertIn('Rounds of this row: 2', written)
        self.assertEqual(json.loads(self.read('all.json'))['rows'][0]['rounds'], [{'txkv': {'cpu': 2.0}}, {'txkv': {'cpu': 1.0}}])

    def test_broken_off_while_the_page_is_made_all_rows_are_there(self):
        def broken_off(_run, _rows, _peers, path):
            with compare.whole(path) as part:
                self.put(part, 'half of')
                sys.exit(130)
        self.put('results.html', 'old')
        with self.assertRaises(SystemExit):
            self.run_rows(self.row('one'), self.row('two'), write_page=broken_off)
        self.check_broken_off('| **took** | 1:02 minutes up to row 2 of 2 |', '## three')

    def test_without_a_page_the_earlier_one_is_named_as_such(self):
        self.put('results.html', 'old')
        self.assertEqual(self.run_rows(self.row('one'), write_page=self.fail, no_page=True), 0)
        self.check_broken_off('| **took** | 1:02 minutes |', PAGE_LINE)

    def test_a_page_that_is_not_there_is_not_named(self):
        self.run_rows(self.row('one'), write_page=self.fail, no_page=True)
        self.assertNotIn('results.html', self.read('RESULTS.md'))

    def test_a_page_of_this_run_is_no_earlier_one(self):
        self.put('results.html', 'old')
        self.run_rows(self.row('one'), write_page=lambda *_: self.put('results.html', 'new'))
        self.assertIn(PAGE_LINE, self.read('RESULTS.md'))

    def test_half_a_file_takes_no_place(self):
        self.put('some', 'old')
        for content, ends in (('half', True), ('new', False)):
            with contextlib.suppress(SystemExit), compare.whole(self.path('some')) as part:
                self.put(part, content)
                if ends:
                    sys.exit(1)
            self.assertEqual(self.read('some'), 'old' if ends else 'new')
        self.assertEqual(os.listdir(self.output), ['some'])

    def test_a_link_stays_one(self):
        self.put('some', 'old')
        os.symlink(self.path('some'), self.path('link'))
        with compare.whole(self.path('link')) as part:
            self.put(part, 'new')
        self.assertEqual((self.read('some'), os.path.islink(self.path('link'))), ('new', True))


class Options(unittest.TestCase):
    def run_compare(self, *arguments):
        return subprocess.run([sys.executable, os.path.join(HERE, 'compare'), *arguments], capture_output=True,
                              text=True, check=False)

    def test_wrong_ones_are_named_in_a_line(self):
        for arguments, said in ((['--rows', 'pipeline-2'], "there is no row 'pipeline-2'"),
                                (['--rounds', '0'], "'0' is not a number from 1 to 1000"),
                                (['--cores', '0'], "'0' is not two numbers of cores"),
                                (['--peer', 'a=b:1'], "'a=b:1' is not NAME=HOST:PORT"),
                                (['--peer', 'redis=b:1,resp'], "the name 'redis' is taken"),
                                (['--with', '/no/such'], "/no/such is not the --json FILE of an earlier run"),
                                (['--nothing'], 'unrecognized arguments: --nothing')):
            done = self.run_compare(*arguments)
            self.assertEqual((done.returncode, done.stderr.count('\n')), (2, 1), done.stderr)
            self.assertIn(said, done.stderr)

    def test_a_missing_program_is_named_with_its_package(self):
        kind = servers.Kind('x', 'text', 'no-such-program', 'apt install x', (), ())
        with self.assertRaisesRegex(servers.Failure, 'no-such-program is missing: apt install x'):
            servers.program_of(kind, 'build')


if __name__ == '__main__':
    unittest.main()
