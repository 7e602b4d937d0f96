"""What is measured: the table of rows, and for each the function that measures one fresh server once.

A measurement is a dictionary of numbers. The n-th measurements of two servers were made one after the other in the same
round, so they are compared pair by pair. To add a row, add it to ROWS."""
import json
import random
import time
from dataclasses import dataclass, field
from typing import Callable, Optional

from comparison.servers import KINDS, SETTLE_S, Client, Failure, Rank, idle_connections

ANY = ('text', 'resp', 'memcache')
TRANSACTIONAL = ('text', 'resp')
OWN = 'own'  # a goal against another metric of the same server
VALUE = '32'
CONNECTIONS = '50'
HALF_AND_HALF = ('--mix', 'get=0.5,set=0.5')
GROWTH_RATE_MAX = 150_000
KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Scale:
    """How long and how large."""
    rounds: int
    duration: float  # of a measurement, s
    warmup: float
    keys: int
    big: int         # keys where there are many
    many: int        # keys that are read back from disk
    churn: int       # the least number of slices of overwriting and deleting, each of 0.25 operations a key
    churn_s: float   # and how long it goes on at least
    idle: int        # connections
    stops_s: float   # for which each core is watched before
    values: dict = field(default_factory=dict)  # keys, by size of the value


FULL = Scale(5, 3, 0.5, 1_000_000, 10_000_000, 5_000_000, 16, 60, 10_000, 10, {KIB: 100_000, 64 * KIB: 2000, MIB: 128})
QUICK = Scale(2, 0.3, 0.1, 50_000, 100_000, 50_000, 4, 1, 1000, 0.1, {KIB: 10_000, 64 * KIB: 200, MIB: 16})


@dataclass(frozen=True)
class Metric:
    name: str
    label: str
    unit: str              # one of report.UNITS
    compared: bool = True  # a ratio to the others says something


@dataclass(frozen=True)
class Goal:
    what: str
    metric: str
    limit: float                 # of the ratio to the base; of the value itself, in its unit, where peer is None
    peer: Optional[str] = None   # the server compared with, or OWN
    base: Optional[str] = None   # the metric compared with, where it is another one
    at_least: bool = False
    resp_limit: Optional[float] = None  # the same for RESP, where that has one of its own
    when_bound: Optional[str] = None  # the metric that is judged where the client was the limit of one of the two


@dataclass(frozen=True)
class Row:
    name: str
    title: str       # filled in from the scale, as `how` is
    how: str
    peers: tuple
    metrics: tuple   # the first is the one that every server is compared by
    goals: tuple
    measure: Callable  # (run, server, setting) -> {metric: number}
    prepare: Optional[Callable] = None  # (run) -> (setting, what to say about it), once before the rounds
    connections: Callable = lambda scale: None  # that the servers must allow
    joined: tuple = ()    # further peers take part that speak one of these
    pipeline: int = 0     # the page shows it
    durable: bool = False  # the servers keep every write on disk before they acknowledge it
    rank: Optional[Rank] = None  # of the servers
    restarts: bool = False  # measure starts the servers itself: it gets the Kind


@dataclass
class Run:
    """What a measurement needs."""
    processes: object
    benchmark: str
    scale: Scale

    def load_argv(self, servers, *options):
        targets = [word for server in servers for word in ('--target', server.target())]
        return [self.benchmark, *targets, *map(str, options)]

    def load(self, server, *options, rank=None):
        """The load generator's figures, {metric: number}, of each of its rows, by (test, pipeline)."""
        rows = json.loads(self.processes.run(self.load_argv([server], '--json', *options), rank=rank))['rows']
        found = {}
        for row in rows:
            target = row['targets'][0]
            figures = {name: value['median'] for name, value in target.items()
                       if isinstance(value, dict) and 'median' in value}
            figures['bound'] = float(target['client_bound'] or 0)  # null: not known
            found[row['test'], row['pipeline']] = figures
        return found

    def load_one(self, server, *options, rank=None):
        return next(iter(self.load(server, *options, rank=rank).values()))

    def timed(self, *options):
        return ('--duration', self.scale.duration, '--warmup', self.scale.warmup, *options)

    def preload(self, server, keys, size):
        """Sets all keys, and measures nothing."""
        self.load(server, '--preload', '-r', keys, '-d', size, '-t', 'ping', '-n', 1, '-c', 1)


def cost(server, figures, name='cpu'):
    """What an operation costs: CPU time only where the process is known."""
    cpu = {name: figures['server_cpu_ns_per_op']} if server.pid else {}
    busy = {'busy': figures['server_cores']} if server.pid else {}
    return {**cpu, 'rps': figures['rps'], 'p99': figures['latency_p99_ns'], **busy}


COST = (Metric('cpu', 'server CPU an operation', 'ns'), Metric('rps', 'operations a second', 'n'),
        Metric('p99', 'p99', 'us'), Metric('busy', 'cores that the server used', '1', False))


# Closed loop

def closed_loop(pipeline, keys):
    def measure(run, server, _):
        return cost(server, run.load_one(server, *run.timed(*HALF_AND_HALF), '--preload', '-P', pipeline,
                                         '-c', CONNECTIONS, '-r', keys(run.scale), '-d', VALUE))
    return measure


def closed_loop_row(name, pipeline, goals, big=False):
    return Row(name, f'Pipeline {pipeline}, ' + ('{big}' if big else '{keys}') + ' keys',
               f'50 connections, closed loop, pipeline {pipeline}, half GET half SET, uniform over '
               + ('{big}' if big else '{keys}') + ' keys of 16 B, all set before; values of 32 B; {duration} s.',
               ('redis', 'memcached', 'null'), COST,
               tuple(Goal('server CPU an operation', 'cpu', limit, peer, resp_limit=resp) for peer, limit, resp in goals),
               closed_loop(pipeline, (lambda scale: scale.big) if big else lambda scale: scale.keys),
               joined=ANY, pipeline=0 if big else pipeline)


# Open loop

WITHOUT_STOPS = 'Judged without what the machine\'s own stops delayed (`txkv-benchmark --watch-stops`: other processes, and ' \
                'cores that stand still), for all servers alike; the share left out, and the longest with them, stand beside. '
LEFT_OUT = Metric('left-out', 'share left out', '1', False)
LEFT_OUT_MAX = 0.1


def watching(server):
    """The option that makes undisturbed() possible; whoever runs the server elsewhere does without."""
    return ('--watch-stops',) if server.pid else ()


def undisturbed(server, figures, *names):
    """Latencies without what was delayed by stops of the machine, of the names (p99.9)."""
    found = {f'{name}-all': figures[f'latency_{name.replace(".", "_")}_ns'] for name in names}
    if not server.pid:
        return found
    if figures['stops_left_out_share'] > LEFT_OUT_MAX:
        raise Failure(f'stops of the machine delayed {figures["stops_left_out_share"]:.0%} of the requests: nothing can be said')
    return {**found, **{name: figures[f'undisturbed_{name.replace(".", "_")}_ns'] for name in names},
            'left-out': figures['stops_left_out_share']}


def redis_capacity(run, *options):
    """Operations a second of a fresh Redis in a closed loop, pipeline 1."""
    with run.processes.server(KINDS['redis']) as server:
        return run.load_one(server, *run.timed(*options), '-c', CONNECTIONS, '-r', run.scale.keys, '-d', VALUE)['rps']


def rounded(rate):
    return max(1000, int(rate // 1000 * 1000))


def half_of_redis(run):
    capacity = redis_capacity(run, *HALF_AND_HALF, '--preload')
    rate = rounded(capacity / 2)
    return rate, f'Redis answered {capacity:,.0f} operations a second in a closed loop; the rate of all is {rate:,}.'


def open_loop(run, server, rate):
    figures = run.load_one(server, *run.timed(*HALF_AND_HALF), '--preload', '--rate', rate, '-c', CONNECTIONS,
                           '-r', run.scale.keys, '-d', VALUE, *watching(server), rank=Rank.NEXT)
    costs = cost(server, figures)
    del costs['p99']  # it is with the stops
    return {**costs, **undisturbed(server, figures, 'p50', 'p99', 'p99.9', 'max')}


# Growth

def rate_to_grow_at(run):
    capacity = redis_capacity(run, '-t', 'set')
    rate = min(GROWTH_RATE_MAX, rounded(0.75 * capacity))
    return rate, f'The rate of all is {rate:,} SETs a second, three quarters of what Redis can ({capacity:,.0f}), ' \
                 f'at most {GROWTH_RATE_MAX:,}.'


def grow(run, server, rate):
    figures = run.load_one(server, '-t', 'set', '--dist', 'sequential', '--rate', rate, '--arrivals', 'fixed',
                           '-n', run.scale.big, '-r', run.scale.big, '-d', '16', '-c', CONNECTIONS, *watching(server))
    return undisturbed(server, figures, 'max', 'p99.99', 'p99.9', 'p50')


# Memory

def churn(run, server, keys):
    """Overwrites by values of random size and deletes at random keys, the same of both for all servers but for how
    often the slice is repeated when there is time left."""
    end = time.monotonic() + run.scale.churn_s
    slices = 0
    while slices < run.scale.churn or time.monotonic() < end:
        run.load(server, '-t', 'set', '-n', keys // 5, '-r', keys, '-d', '8-24', '-P', 64, '-c', 8,
                 '--seed', 1 + slices)
        with Client(server) as client:
            client.delete(random.Random(slices).choices(range(keys), k=keys // 20))
        slices += 1
    return slices


def memory(keys_of):
    def measure(run, server, _):
        keys = keys_of(run.scale)
        empty = server.memory()
        run.preload(server, keys, 16)
        time.sleep(min(1, run.scale.duration))  # what the server does behind its answers
        filled = server.memory()
        with Client(server) as client:
            if client.count() != keys:
                raise Failure(f'{client.count():,} keys exist, not {keys:,}')
        slices = churn(run, server, keys)
        with Client(server) as client:
            left = client.count()
        return {'fresh': (filled - empty) / keys, 'churned': (server.memory() - empty) / left, 'left': left / keys,
                'most': (server.memory('VmHWM') - empty) / keys, 'slices': slices}
    return measure


def memory_row(name, keys, keys_of):
    return Row(name, f'Memory a key, {keys} keys', 'Resident memory less that of the empty server, a key: '
               f'after setting {keys} keys of 16 B to values of 16 B, and after at least {{churn}} slices '
               'and {churn_s} s of overwriting a fifth of the keys by values of 8 to 24 B and deleting a twentieth, '
               'all at random; then by the keys that exist (what DBSIZE says).', ('redis',),
               (Metric('fresh', 'set once', 'B'), Metric('churned', 'after overwriting and deleting', 'B'),
                Metric('most', 'the most ever, by all keys', 'B'),
                Metric('left', 'share of keys that exist', '1', False),
                Metric('slices', 'slices', 'n', False)),
               (Goal('memory a key, set once', 'fresh', 1, 'redis'),
                Goal('memory a key, overwritten and deleted at random', 'churned', 1, 'redis')), memory(keys_of))


# Transactions

def transactions(pipeline):
    def measure(run, server, _):
        common = run.timed('-c', CONNECTIONS, '-r', run.scale.keys, '-d', VALUE)
        whole = run.load_one(server, *common, '--preload', '--txn', 'writes=4', '-P', pipeline)
        bare = run.load_one(server, *common, '-t', 'set', '-P', 4 * pipeline)
        four = {'four': 4 * bare['server_cpu_ns_per_op']} if server.pid else {}
        return {**cost(server, whole), **four}
    return measure


def transactions_row(name, pipeline):
    return Row(name, f'BEGIN, 4 SET, COMMIT; pipeline {pipeline}',
               f'50 connections, closed loop, as many transactions sent at once (Redis: MULTI, 4 SET, EXEC); beside '
               f'it on the same server SETs alone at pipeline {4 * pipeline}, 4 of them for one transaction; {{keys}} '
               'keys, values of 32 B, {duration} s each.', ('redis',),
               (Metric('cpu', 'server CPU a transaction', 'ns'), Metric('four', 'server CPU of four bare SETs', 'ns'),
                Metric('rps', 'transactions a second', 'n'), Metric('p99', 'p99', 'us')),
               (Goal('server CPU a transaction', 'cpu', 0.4, 'redis'),
                Goal('server CPU a transaction, to four bare SETs', 'cpu', 2, OWN, 'four')),
               transactions(pipeline), joined=TRANSACTIONAL)


def conflicts(run, server, _):
    figures = run.load_one(server, *run.timed(), '--preload', '-c', CONNECTIONS, '-r', run.scale.keys, '-d', VALUE,
                           '--txn', 'reads=1,writes=1,conflict=0.1,serializable')
    done = figures['rps'] * run.scale.duration
    return {**cost(server, figures), 'refused': figures['conflicts'] / done if done else 0}


# Connections that do nothing

def beside_idle(run, server, _):
    common = run.timed(*HALF_AND_HALF, '-c', 32, '-r', run.scale.keys, '-d', VALUE)
    alone = run.load_one(server, *common, '--preload')
    with idle_connections(server, run.scale.idle):
        beside = run.load_one(server, *common)
    after = run.load_one(server, *common)  # before and after, so that a drift of the machine takes no side
    return {'cpu': beside['server_cpu_ns_per_op'],
            'alone': (alone['server_cpu_ns_per_op'] + after['server_cpu_ns_per_op']) / 2,
            'memory': (beside['server_rss_bytes'] - alone['server_rss_bytes']) / run.scale.idle, 'rps': beside['rps']}


# Large values

def values(size):
    def measure(run, server, _):
        rows = run.load(server, *run.timed('-c', 8, '-P', 4), '-t', 'set,get', '--preload',
                        '-r', run.scale.values[size], '-d', size)
        found = {}
        for (test, _), figures in rows.items():
            found[test] = figures['rps'] * size
            found[test + '_cpu'] = 1e9 * size / figures['server_cpu_ns_per_op']
            found[test + '_bound'] = figures['bound']
        return found
    return measure


def values_row(name, text, size, limit):
    def goal(test):
        return Goal(f'bytes a second, {test.upper()}', test, limit, 'redis', at_least=True, when_bound=test + '_cpu')
    return Row(name, f'Values of {text}',
               f'8 connections, closed loop, pipeline 4, values of {size:,} B; SET, then GET; {{duration}} s each. '
               'Judged by bytes a second; where the load generator was the limit for one of the two (client-bound: its '
               'core was full, the server\'s was not), by bytes for a second of the server\'s CPU time.', ('redis',),
               tuple(Metric(test + kind, test.upper() + label, unit, kind != '_bound') for test in ('get', 'set')
                     for kind, label, unit in (('', ', a second', 'MB'), ('_cpu', ', a second of server CPU', 'MB'),
                                               ('_bound', ', client-bound (1) or not (0)', '1'))),
               (goal('get'), goal('set')), values(size))


# A client that does not read

GOOD = ('-t', 'get', '-c', 8, '-r', 10_000, '-d', VALUE, '--rate', 10_000)


def beside_non_reader(run, server, _):
    """The large values have longer keys, so both can be there."""
    large = ('-r', 16, '-d', MIB, '--key-size', 24)
    run.preload(server, 10_000, VALUE)
    run.load(server, '--preload', *large, '-t', 'ping', '-n', 1, '-c', 1)
    alone = run.load_one(server, *run.timed(*GOOD))
    before = server.memory()
    server.forget_peak()
    asking = run.load_argv([server], *large, '-t', 'ping', '-c', 1, '--rate', 10, '--non-readers', 1,
                           '--duration', 60 + 10 * run.scale.duration)
    with run.processes.background(asking):
        time.sleep(SETTLE_S)
        beside = run.load_one(server, *run.timed(*GOOD))
    return {'p99': beside['latency_p99_ns'], 'alone': alone['latency_p99_ns'],
            'p99.9': beside['latency_p99_9_ns'], 'max': beside['latency_max_ns'],
            'memory': max(0, server.memory('VmHWM') - before)}


# On disk

def durable_sets(connections):
    def measure(run, server, _):
        return cost(server, run.load_one(server, *run.timed('-t', 'set'), '-c', connections, '-r', run.scale.keys, '-d', VALUE))
    return measure


def durable_row(connections, least):
    plural = 's' if connections > 1 else ''
    return Row(f'durable-{connections}', f'Durable commits, {connections} connection{plural}',
               f'{connections} connection{plural}, closed loop, pipeline 1, SET of values of 32 B, each on disk before it is '
               'acknowledged (txkv: --data; Redis: appendonly yes, appendfsync always); {duration} s.', ('redis',), COST[1:] + COST[:1],
               (Goal('commits a second', 'rps', least, 'redis', at_least=True),) if least else (),
               durable_sets(connections), durable=True)


READS = ('-t', 'get', '-c', 8, '-r', 10_000, '-d', VALUE, '--rate', 2000)


def reads_beside_commits(run, server, _):
    """The commits are to keys of another length, so that what is read is settled."""
    run.preload(server, 10_000, VALUE)
    alone = run.load_one(server, *run.timed(*READS), rank=Rank.FIRST)
    committing = run.load_argv([server], '-t', 'set', '-c', 64, '-r', run.scale.keys, '--key-size', 24, '-d', VALUE,
                               '--duration', 60 + 10 * run.scale.duration)
    with run.processes.background(committing):
        time.sleep(SETTLE_S)
        beside = run.load_one(server, *run.timed(*READS), rank=Rank.FIRST)
    return {'p99': beside['latency_p99_ns'], 'p50': beside['latency_p50_ns'], 'max': beside['latency_max_ns'],
            'alone': alone['latency_p99_ns']}


def timed_start(run, kind, data, more=()):
    """Seconds until a server that finds data answers, and how many keys it has then."""
    begin = time.monotonic()
    with run.processes.server(kind, data=data, more=more) as server, Client(server) as client:
        while not client.speaks():
            time.sleep(0.01)
        return time.monotonic() - begin, client.count()


CHECKPOINT = {'text': b'CHECKPOINT\r\n', 'resp': b'*1\r\n$4\r\nSAVE\r\n'}
# Filled without a sync for each write, and never rewritten meanwhile; both then have one file of all keys, or all commits.
FILLING = {'txkv': ('--sync', 'none', '--checkpoint-log-bytes', '1000G'),
           'redis': ('--appendfsync', 'no', '--auto-aof-rewrite-percentage', '0')}
SNAPSHOT_ALONE = {'txkv': (), 'redis': ('--appendonly', 'no')}


def recovery(run, kind, _):
    keys = run.scale.many
    filling, alone = FILLING[kind.name], SNAPSHOT_ALONE[kind.name]
    found = {}
    with run.processes.data_directory() as data:
        with run.processes.server(kind, data=data, more=filling) as server:
            run.preload(server, keys, 16)
            run.processes.kill(server)
        found['log'], count = timed_start(run, kind, data, filling)
        if count != keys:
            raise Failure(f'{count:,} keys are back from the log, not {keys:,}')
    with run.processes.data_directory() as data:
        with run.processes.server(kind, data=data, more=filling + alone) as server:
            run.preload(server, keys, 16)
            with Client(server) as client:
                if b'OK' not in client.ask(CHECKPOINT[server.proto]):
                    raise Failure('the checkpoint failed')
            run.processes.kill(server)
        found['snapshot'], count = timed_start(run, kind, data, filling + alone)
        if count != keys:
            raise Failure(f'{count:,} keys are back from the snapshot, not {keys:,}')
    return {name: seconds * 1e9 for name, seconds in found.items()}


READ_BESIDE = ('-t', 'get', '-c', 8, '-d', 16, '--rate', 5000)
SNAPSHOT_BEHIND = {'text': b'CHECKPOINT\r\n', 'resp': b'*1\r\n$6\r\nBGSAVE\r\n'}


def beside_checkpoint(run, kind, _):
    """It begins while the reads go on, which do not change memory."""
    keys = run.scale.many
    with run.processes.data_directory() as data, \
            run.processes.server(kind, data=data, more=FILLING[kind.name] + SNAPSHOT_ALONE[kind.name]) as server:
        run.preload(server, keys, 16)
        reads = run.timed(*READ_BESIDE, '-r', keys)
        alone = run.load_one(server, *reads)
        before = server.memory()
        server.forget_peak()
        with Client(server) as client:
            client.socket.sendall(SNAPSHOT_BEHIND[server.proto])
            beside = run.load_one(server, *reads)
            client.socket.recv(64)
        return {'beyond': max(0, beside['latency_max_ns'] - alone['latency_max_ns']), 'max': beside['latency_max_ns'],
                'alone': alone['latency_max_ns'], 'p99.9': beside['latency_p99_9_ns'],
                'memory': server.memory('VmHWM') / before}


DURABLE_ROWS = (
    durable_row(1, 1.2), durable_row(16, None), durable_row(64, 2), durable_row(256, None),
    Row('durable-reads', 'Reads of settled data beside 64 committing connections',
        '8 connections, open loop of 2,000 GETs a second of keys that nobody writes, beside 64 connections that SET others in a '
        'closed loop, each on disk before it is acknowledged; latency counts from when a request was due; {duration} s. The '
        'generator of the reads goes before that of the commits, with which it shares a core (SCHED_FIFO, where that is allowed): '
        'its own waiting is not the server\'s.', ('redis',),
        (Metric('p99', 'p99 of the reads', 'us'), Metric('p50', 'p50', 'us'), Metric('max', 'longest', 'us'),
         Metric('alone', 'p99 without the commits', 'us')), (Goal('p99 of the reads', 'p99', 0.2, 'redis'),),
        reads_beside_commits, durable=True),
    Row('recovery', 'Starting with {many} keys on disk',
        'From the start of the process until it answers, with {many} keys of 16 B and values of 16 B: from a checkpoint (Redis: an '
        'RDB file), and from the log of as many commits (Redis: its append-only file).', ('redis',),
        (Metric('snapshot', 'from a checkpoint', 'ms'), Metric('log', 'from the log', 'ms')),
        (Goal('from a checkpoint', 'snapshot', 0.5, 'redis'), Goal('from the log', 'log', 0.25, 'redis')), recovery, restarts=True),
    Row('checkpoint', 'During a checkpoint of {many} keys',
        '8 connections, open loop of 5,000 GETs a second of {many} keys, first alone, then while a checkpoint is made (Redis: '
        'BGSAVE, a fork); latency counts from when a request was due; {duration} s each. The machine has stalls of its own, too: '
        'see what the null server of the row growth has with them. Memory is that of the serving process.', ('redis',),
        (Metric('beyond', 'longest stall beyond that without it', 'ms'), Metric('max', 'longest stall', 'ms'),
         Metric('alone', 'longest stall without it', 'ms'), Metric('p99.9', 'p99.9', 'ms'),
         Metric('memory', 'the most memory, to that before', '1')),
        (Goal('longest stall beyond that without a checkpoint', 'beyond', 2), Goal('memory, to that before', 'memory', 1.15)),
        beside_checkpoint, restarts=True),
)


ROWS = (
    closed_loop_row('pipeline-1', 1, (('redis', 0.78, 0.8), ('null', 1.12, None))),
    closed_loop_row('pipeline-16', 16, (('redis', 0.4, 0.45),)),
    closed_loop_row('pipeline-64', 64, (('redis', 0.2, 0.25),)),
    closed_loop_row('pipeline-256', 256, (('redis', 0.13, 0.18),)),
    closed_loop_row('pipeline-256-many', 256, (('redis', 0.13, 0.18),), big=True),
    Row('open-loop', 'Open loop at half of Redis\'s capacity',
        '50 connections, Poisson arrivals, the same rate for all, half GET half SET, {keys} keys, values of 32 B; '
        'latency counts from when a request was due; {duration} s. ' + WITHOUT_STOPS + 'Servers, whose core is half free, go before all other '
        'processes (SCHED_FIFO), the generator and memcached, which has threads, before nearly all (nice -20), where that is allowed: the '
        'machine has services of its own, which take milliseconds. Of memcached only the waiting of its first thread is '
        'known, which does not serve.',
        ('redis', 'memcached', 'null'),
        (Metric('p50', 'p50', 'us'), Metric('p99', 'p99', 'us'), Metric('p99.9', 'p99.9', 'us'),
         Metric('max', 'longest', 'us'), Metric('p99-all', 'p99, with stops of the machine', 'us'),
         Metric('p99.9-all', 'p99.9, with them', 'us'), Metric('max-all', 'longest, with them', 'us'), LEFT_OUT, Metric('cpu', 'server CPU an operation', 'ns'),
         Metric('rps', 'operations a second', 'n')),
        (Goal('p50', 'p50', 1, 'redis'), Goal('p99', 'p99', 0.8, 'redis'), Goal('p99.9', 'p99.9', 0.5, 'redis')),
        open_loop, half_of_redis, joined=ANY, rank=Rank.FIRST),
    Row('growth', 'Growing from 0 to {big} keys',
        '50 connections send SETs of new keys (16 B, values of 16 B) at a fixed rate; latency counts from when a '
        'request was due. ' + WITHOUT_STOPS + 'What is left of them is what the null server shows, which stores nothing.',
        ('redis', 'null'),
        (Metric('max', 'longest stall', 'ms'), Metric('p99.99', 'p99.99', 'ms'), Metric('p99.9', 'p99.9', 'ms'),
         Metric('p50', 'p50', 'ms'), Metric('max-all', 'longest, with stops of the machine', 'ms'), LEFT_OUT),
        (Goal('longest stall', 'max', 2), Goal('longest stall', 'max', 0.5, 'redis')), grow, rate_to_grow_at),
    memory_row('memory', '{keys}', lambda scale: scale.keys),
    memory_row('memory-many', '{big}', lambda scale: scale.big),
    transactions_row('transaction-1', 1),
    transactions_row('transaction-16', 16),
    Row('conflicts', 'Read-modify-write, SERIALIZABLE, 10% conflicts',
        '50 connections, each reads a key, waits, sets it and commits (Redis: WATCH, GET; MULTI, SET, EXEC); another '
        'client sets the key between in a tenth of them; a refused one is not retried; {keys} keys, '
        'values of 32 B, {duration} s.', ('redis',),
        (Metric('cpu', 'server CPU a transaction', 'ns'), Metric('rps', 'transactions a second', 'n'),
         Metric('p99', 'p99', 'us'), Metric('refused', 'share refused', '1', False)),
        (Goal('server CPU a transaction', 'cpu', 0.6, 'redis'),), conflicts, joined=TRANSACTIONAL),
    Row('idle', '{idle} idle connections beside 32 busy ones',
        '32 connections, closed loop, pipeline 1, half GET half SET, {keys} keys, values of 32 B; first alone, then '
        'beside {idle} that do nothing, then alone again, on the same server; {duration} s each. Memory is what the '
        'process has resident; what the kernel keeps for a socket is not in it.', ('redis', 'memcached', 'null'),
        (Metric('cpu', 'server CPU an operation', 'ns'), Metric('alone', 'the same without them', 'ns'),
         Metric('memory', 'memory an idle connection', 'B'), Metric('rps', 'operations a second', 'n')),
        (Goal('server CPU an operation, to that without them', 'cpu', 1.1, OWN, 'alone'),
         Goal('memory an idle connection', 'memory', 2048)), beside_idle, connections=lambda scale: scale.idle + 100),
    values_row('values-1k', '1 KiB', KIB, 1.2),
    values_row('values-64k', '64 KiB', 64 * KIB, 1.2),
    values_row('values-1m', '1 MiB', MIB, 1),
    Row('non-reader', 'Beside a client that asks and does not read',
        'The good client: 8 connections, open loop of 10,000 GETs of 32 B a second, first alone, then beside a '
        'connection that sends GETs of 1 MiB without end and reads nothing; {duration} s each. Redis has an output '
        'limit of 512 MB here: as shipped it has none, and would take all memory of the machine.', ('redis',),
        (Metric('p99', 'p99 of the good client', 'us'), Metric('alone', 'the same alone', 'us'),
         Metric('p99.9', 'p99.9', 'us'), Metric('max', 'longest', 'us'),
         Metric('memory', 'memory that the server took for it at most', 'MiB')),
        (Goal('p99 of the good client, to its own alone', 'p99', 3, OWN, 'alone'),), beside_non_reader),
    *DURABLE_ROWS,
)
