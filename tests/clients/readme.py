"""Runs what README.md shows of a client, verbatim but for the port: readme.py README.md CLIENT PORT

CLIENT is redis-cli, python or node. Each is run twice: as it stands, and with another client's write before COMMIT,
which must fail then. Exit status: 0, 1 where it does not do what README.md says, 77 where the client is not there.
"""
import importlib.util
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile

PROMPT = "127.0.0.1:8888> "
TIMEOUT_S = 20


def block(readme, begin):
    """The indented lines from the one that begins so."""
    with open(readme, encoding="utf-8") as file:
        lines = file.read().split("\n")
    first = next((i for i, line in enumerate(lines) if line.startswith("    " + begin)), None)
    assert first is not None, f"{readme} shows nothing that begins {begin!r}"
    last = next(i for i, line in enumerate(lines) if i > first and not line.startswith("    "))
    return [line[4:] for line in lines[first:last]]


def ask(port, line):
    """One line of the text protocol."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        connection.sendall(line.encode() + b"\r\n")
        with connection.makefile("r", newline="\r\n") as answers:
            return answers.readline().rstrip("\r\n")


def same(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


def skip(why):
    print(why)
    sys.exit(77)


def redis_cli(lines, port, disturb):
    """At its prompt; without a terminal it needs --no-raw to answer as it does there."""
    command = shlex.split(lines[0].removeprefix("$ ").replace("8888", str(port)))
    if shutil.which(command[0]) is None:
        skip(f"{command[0]} is not installed (package redis-tools)")
    with subprocess.Popen(["timeout", str(TIMEOUT_S), *command, "--no-raw"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as cli:
        for line in lines[1:]:
            if line.startswith(PROMPT):
                words = line.removeprefix(PROMPT)
                if disturb and words == "COMMIT":
                    same(ask(port, "SET stock 9"), "OK")
                    cli.stdin.write("COMMIT\n")
                    cli.stdin.close()
                    same(cli.stdout.read().split()[:2], ["(error)", "CONFLICT"])
                    break
                cli.stdin.write(words + "\n")
                cli.stdin.flush()
            else:
                same(cli.stdout.readline().rstrip("\n"), line)


def python(lines, port, disturb):
    if importlib.util.find_spec("redis") is None:
        skip("Python's redis is not installed (package python3-redis)")
    names = {}
    for line in lines:
        if disturb and "COMMIT" in line:
            same(ask(port, "SET stock 9"), "OK")
            try:
                exec(line, names)
            except names["redis"].ResponseError as error:
                same(str(error).split()[0], "CONFLICT")
            else:
                raise AssertionError("COMMIT has published what it must not")
            return
        exec(line.replace("8888", str(port)), names)


def node(lines, port, disturb):
    """As a module beside the packages that it imports."""
    modules = os.environ.get("NODE_PATH", "")
    if shutil.which("node") is None or not os.path.isdir(os.path.join(modules, "redis")):
        skip("Node.js or its redis is not here")
    with tempfile.TemporaryDirectory(dir=os.path.dirname(modules)) as directory:
        if not runs_on_this_node(modules, "redis"):
            os.mkdir(os.path.join(directory, "node_modules"))
            os.symlink(os.path.join(modules, "redis-5"), os.path.join(directory, "node_modules", "redis"))
        path = os.path.join(directory, "shown.mjs")
        with open(path, "w", encoding="utf-8") as file:
            for line in lines:
                if disturb and "COMMIT" in line:
                    file.write("await new Promise(go => { process.stdin.once('data', go); console.log('ready') })\n")
                file.write(line.replace("8888", str(port)) + "\n")
        with subprocess.Popen(["timeout", str(TIMEOUT_S), "node", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as program:
            if disturb:
                same(program.stdout.readline(), "ready\n")
                same(ask(port, "SET stock 9"), "OK")
            _, complaint = program.communicate("go\n")
            same(program.returncode != 0, disturb)
            same("CONFLICT" in complaint, disturb)


def runs_on_this_node(modules, name):
    """Whether this Node.js is new enough for the module."""
    wanted = "Number(/\\d+/.exec(require('%s/package.json').engines.node)[0])" % os.path.join(modules, name)
    script = f"process.exit(parseInt(process.versions.node) < {wanted} ? 1 : 0)"
    return subprocess.run(["node", "-e", script], check=False, timeout=TIMEOUT_S).returncode == 0


SHOWN = {
    "redis-cli": (redis_cli, "$ redis-cli"),
    "python": (python, "import redis"),
    "node": (node, "import {"),
}


def main():
    readme, client, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    run, begin = SHOWN[client]
    lines = block(readme, begin)
    print("\n".join(lines), flush=True)
    same(ask(port, "SET stock 5"), "OK")
    run(lines, port, False)
    same(ask(port, "GET stock"), "4")
    run(lines, port, True)
    same(ask(port, "GET stock"), "9")


main()
