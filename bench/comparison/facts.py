"""What a table of figures is worth nothing without: the machine, the versions, the command."""
import datetime
import os
import platform
import re
import shlex
import subprocess
import time

from comparison.servers import KINDS, version_of

HERE = os.path.dirname(os.path.abspath(__file__))
PATH_OPTIONS = ('--build', '--with', '--output', '--json')  # may be shortened as argparse takes them: --out


def output_of(*argv):
    try:
        return subprocess.run(argv, capture_output=True, text=True, cwd=HERE, check=False).stdout.strip()
    except OSError:
        return ''


def first_match(path, pattern):
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            found = re.search(pattern, file.read(), re.MULTILINE)
        return found.group(1).strip('"') if found else ''
    except OSError:
        return ''


def compiler_of(build):
    """As meson found it, and how it was used."""
    name = first_match(os.path.join(build, 'meson-logs', 'meson-log.txt'),
                       r'^C compiler for the host machine: .*?\((\w+ [\d.]+)')
    kind = first_match(os.path.join(build, 'meson-info', 'intro-buildoptions.json'),
                       r'"name": "buildtype", "value": "(\w+)"')
    profile = first_match(os.path.join(build, 'meson-info', 'intro-buildoptions.json'),
                          r'"name": "b_pgo", "value": "(\w+)"')
    words = [name, kind if name else '', 'by a profile (scripts/release)' if name and profile == 'use' else '']
    return ', '.join(word for word in words if word)


def command_text(words):
    """As typed, but of the paths of this machine only the last part."""
    shown, is_path = [], False
    for word in words:
        name, equals, value = word.partition('=')
        names_path = len(name) > 2 and any(option.startswith(name) for option in PATH_OPTIONS)
        if is_path:
            shown.append(last_part(word))
        elif names_path and equals:
            shown.append(f'{name}={last_part(value)}')
        else:
            shown.append(word)
        is_path = names_path and not equals and not is_path
    return shlex.join(shown)


def last_part(path):
    return os.path.basename(os.path.normpath(path)) or path


def stops_of(seconds, clock=time.monotonic):
    """How long at most, in ms, who does nothing but look at the clock sees nothing of it, and how often for over 1 ms."""
    longest, count, last = 0, 0, clock()
    end = last + seconds
    while last < end:
        now = clock()
        gap = 1000 * (now - last)
        longest, count, last = max(longest, gap), count + (gap > 1), now
    return longest, count


def stops_text(cores, seconds):
    before = os.sched_getaffinity(0)
    found = []
    try:
        for core in cores:
            os.sched_setaffinity(0, {core})
            longest, count = stops_of(seconds)
            found.append(f'core {core} up to {longest:.1f} ms, {count} times over 1 ms')
    finally:
        os.sched_setaffinity(0, before)
    return f'a process that only looks at the clock, for {seconds:g} s, is stopped by the machine: ' + '; '.join(found)


def facts_of(build, names, command, cores, stops_s):
    """Pairs of a name and what there is to say. Watches each of the cores for stops_s seconds."""
    versions = [version_of(KINDS[name], build) for name in names if KINDS[name].version]
    memory = first_match('/proc/meminfo', r'^MemTotal:\s*(\d+)')
    return [
        ('date', datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC')),
        ('machine', f'{os.cpu_count()} cores, ' + first_match('/proc/cpuinfo', r'^model name\s*:\s*(.*)$')
         + (f', {int(memory) / 2**20:.0f} GiB' if memory else '')),
        ('system', first_match('/etc/os-release', r'^PRETTY_NAME=(.*)$') + f', kernel {platform.release()}'),
        ('servers', '; '.join(versions)),
        ('source', output_of('git', 'describe', '--always', '--dirty', '--exclude=*') or 'unknown'),
        ('compiler', compiler_of(build) or 'unknown'),
        ('load before', f'{os.getloadavg()[0]:.1f} processes wanted to run, in the minute before'),
        ('stops', stops_text(cores, stops_s)),
        ('command', f'`{command_text(command)}`'),
    ]
