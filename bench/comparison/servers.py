"""The servers that are compared: how each is started, asked and ended.

Every process is started through Processes, which ends all of them however the program ends; should it be killed, the
kernel ends them."""
import contextlib
import ctypes
import enum
import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import Optional

START_S = 30
STOP_S = 30
LIMIT_S = 1800  # of one run of the load generator; growing to 10M keys takes minutes
SETTLE_S = 0.2
BATCH = 1000  # requests that Client sends at once: their answers fit into any socket
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """What went wrong, in a line."""


class Rank(enum.Enum):
    """Before whom a process goes on its core, where that is allowed. Machines have processes of their own, which take the
    core of one that waits for a request for milliseconds."""
    FIRST = 'before all others (SCHED_FIFO): for what rests most of the time; from others the kernel takes 50 ms at a stretch'
    NEXT = 'before nearly all (nice -20)'

    def take(self):
        with contextlib.suppress(PermissionError):
            if self is Rank.FIRST:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            else:
                os.setpriority(os.PRIO_PROCESS, 0, -20)
                os.setsid()
                with contextlib.suppress(OSError), open('/proc/self/autogroup', 'w', encoding='ascii') as file:
                    file.write('-20')  # where each session is a group, niceness counts inside it only


@dataclass(frozen=True)
class Kind:
    """A server that can be started. {build}, {dir}, {port} and {user} in its words are filled in; {data} is a directory."""
    name: str
    proto: str          # as txkv-benchmark calls it
    program: str
    package: str        # where the program comes from
    arguments: tuple
    connections: tuple  # what allows it {connections}
    says: Optional[str] = None  # prints its port so; else it is given a free one
    version: tuple = ('--version',)
    durable: tuple = ()         # what makes it keep every write before it is acknowledged, in {data}
    threads: bool = False       # several that work in memory: none of them would make way for another one of Rank.FIRST


TXKV = ('--bind', '127.0.0.1', '--port', '0')
TXKV_SAYS = r'listening on 127\.0\.0\.1:(\d+)'
KINDS = {kind.name: kind for kind in (
    Kind('txkv', 'text', '{build}/src/txkv-server', 'meson compile -C {build}', TXKV,
         ('--max-connections', '{connections}'), TXKV_SAYS, durable=('--data', '{data}')),
    Kind('txkv-resp', 'resp', '{build}/src/txkv-server', 'meson compile -C {build}', TXKV,
         ('--max-connections', '{connections}'), TXKV_SAYS, durable=('--data', '{data}')),
    # It has no limit for a client that does not read, and would take all memory of the machine.
    Kind('redis', 'resp', 'redis-server', 'apt install redis-server',
         ('--bind', '127.0.0.1', '--port', '{port}', '--save', '', '--appendonly', 'no',
          '--dir', '{dir}', '--client-output-buffer-limit', 'normal 512mb 0 0'), ('--maxclients', '{connections}'),
         durable=('--dir', '{data}', '--appendonly', 'yes', '--appendfsync', 'always')),
    Kind('memcached', 'memcache', 'memcached', 'apt install memcached',
         ('-l', '127.0.0.1', '-p', '{port}', '-t', '1', '-m', '16384', '-u', '{user}'), ('-c', '{connections}'), threads=True),
    Kind('null', 'text', '{build}/bench/null-server', 'meson compile -C {build}', (), (),
         r'listening on 127\.0\.0\.1:(\d+)', ()),
)}


@dataclass
class Server:
    """One that runs. pid is None where its process is not known."""
    name: str
    proto: str
    host: str
    port: int
    pid: Optional[int] = None
    process: Optional[subprocess.Popen] = None

    def target(self):
        """As txkv-benchmark takes it."""
        return f'{self.name}={self.proto}:{self.host}:{self.port}' + (f',{self.pid}' if self.pid else '')

    def memory(self, field='VmRSS'):
        """Bytes resident now; VmHWM: the most there ever were."""
        with open(f'/proc/{self.pid}/status', encoding='ascii', errors='replace') as status:
            return 1024 * int(re.search(rf'^{field}:\s*(\d+) kB', status.read(), re.MULTILINE).group(1))

    def forget_peak(self):
        """VmHWM begins anew."""
        with open(f'/proc/{self.pid}/clear_refs', 'w', encoding='ascii') as file:
            file.write('5')


def program_of(kind, build):
    """The path of its program, or a Failure that says where to get it."""
    path = shutil.which(kind.program.format(build=build))
    if path is None:
        raise Failure(f'{kind.program.format(build=build)} is missing: {kind.package.format(build=build)}')
    return path


def version_of(kind, build):
    """The line that it prints about itself."""
    if not kind.version:
        return ''
    done = subprocess.run([program_of(kind, build), *kind.version], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().split('\n')[0]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port), 1):
        return True
    return False


class Processes:
    """All that is started, each on a core of its own choice, and a directory for what they write."""

    def __init__(self, build, server_core):
        self.build = build
        self.server_core = server_core
        self.running = []
        self.dir = tempfile.mkdtemp(prefix='txkv-compare-')
        self.libc = ctypes.CDLL(None)

    def spawn(self, argv, core=None, output=subprocess.PIPE, rank=None):
        def in_child():
            self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if rank is not None:
                rank.take()
            if core is not None:
                os.sched_setaffinity(0, {core})
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, text=True, preexec_fn=in_child,
                                   stderr=subprocess.STDOUT if output is not subprocess.PIPE else subprocess.PIPE)
        self.running.append(process)
        return process

    def end(self, process):
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        self.running.remove(process)

    def end_all(self):
        for process in list(self.running):
            process.kill()
            self.end(process)
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, argv, rank=None):
        """What it prints, once it has ended well."""
        process = self.spawn(argv, rank=rank)
        try:
            out, err = process.communicate(timeout=LIMIT_S)
            if process.returncode != 0:
                raise Failure(' '.join((err or out).split()) or f'{argv[0]} failed')
            return out
        except subprocess.TimeoutExpired as expired:
            raise Failure(f'{os.path.basename(argv[0])} had not ended after {LIMIT_S} s') from expired
        finally:
            self.end(process)

    @contextlib.contextmanager
    def background(self, argv):
        process = self.spawn(argv, output=subprocess.DEVNULL)
        try:
            yield process
        finally:
            self.end(process)

    @contextlib.contextmanager
    def data_directory(self):
        """A new one for a server's files; gone when the block ends."""
        path = tempfile.mkdtemp(prefix='data-', dir=self.dir)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def server(self, target, connections=None, data=None, more=(), rank=None):
        """A fresh one of a Kind, ready, on the servers' core; a Server that somebody else runs is taken as it is. With
        a directory for data it keeps every write there; more: further arguments."""
        if isinstance(target, Server):
            yield target
            return
        words = {'build': self.build, 'dir': self.dir, 'port': 0 if target.says else free_port(),
                 'connections': connections, 'user': pwd.getpwuid(os.geteuid()).pw_name, 'data': data}
        argv = target.arguments + (target.connections if connections else ()) + (target.durable if data else ()) + more
        log = os.path.join(self.dir, target.name)
        with open(log, 'w', encoding='utf-8') as output:
            process = self.spawn([program_of(target, self.build), *(word.format(**words) for word in argv)],
                                 self.server_core, output, Rank.NEXT if rank and target.threads else rank)
        try:
            port = self.wait_until_ready(target, process, log, words['port'])
            server = Server(target.name, target.proto, '127.0.0.1', port, process.pid)
            server.process = process
            yield server
        except (Failure, OSError) as failure:
            if process.poll() is None:
                raise
            raise Failure(f'{target.name} ended by itself, status {process.returncode}: {failure}') from failure
        finally:
            if process in self.running:
                self.end(process)

    def kill(self, server):
        """Ends a server that was started here, at once: what it has not written is gone."""
        server.process.kill()
        self.end(server.process)

    @staticmethod
    def wait_until_ready(kind, process, log, port):
        deadline = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < deadline:
            with open(log, encoding='utf-8', errors='replace') as file:
                said = re.search(kind.says, file.read()) if kind.says else None
            port = int(said.group(1)) if said else port
            if port != 0 and answers(port):
                return port
            time.sleep(0.02)
        with open(log, encoding='utf-8', errors='replace') as file:
            raise Failure(f'{kind.name} did not start: ' + ' '.join(file.read().split())[-300:])


@contextlib.contextmanager
def idle_connections(server, n):
    """Held here and not by the load generator, which opens them anew where it counts system calls: a server may not
    have seen by then that the first ones are closed, and has no room for twice as many."""
    with contextlib.ExitStack() as stack:
        poll = select.poll()
        for _ in range(n):
            poll.register(stack.enter_context(socket.create_connection((server.host, server.port), 60)), select.POLLIN)
        time.sleep(SETTLE_S)
        yield
        if poll.poll(0):
            raise Failure('the server closed an idle connection, or sent something to it')


class Client:
    """The few commands that the load generator has not."""
    DELETE = {'text': b'DEL key:%012d\r\n', 'resp': b'*2\r\n$3\r\nDEL\r\n$16\r\nkey:%012d\r\n'}
    COUNT = {'text': b'DBSIZE\r\n', 'resp': b'*1\r\n$6\r\nDBSIZE\r\n'}
    PING = {'text': b'PING\r\n', 'resp': b'*1\r\n$4\r\nPING\r\n'}

    def __init__(self, server):
        self.proto = server.proto
        self.socket = socket.create_connection((server.host, server.port), 60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, requests, answers_n=1):
        """Sends them and reads as many lines."""
        self.socket.sendall(requests)
        got = b''
        while got.count(b'\n') < answers_n:
            some = self.socket.recv(65536)
            if some == b'':
                raise Failure('the server closed the connection')
            got += some
        return got

    def delete(self, numbers):
        """The keys of these numbers."""
        request = self.DELETE[self.proto]
        for i in range(0, len(numbers), BATCH):
            batch = numbers[i:i + BATCH]
            if b'ERR' in self.ask(b''.join([request % number for number in batch]), len(batch)):
                raise Failure('a DEL was answered by an error')

    def count(self):
        """How many keys exist."""
        return int(self.ask(self.COUNT[self.proto]).strip().lstrip(b':'))

    def speaks(self):
        return self.ask(self.PING[self.proto]).startswith(b'+PONG')
