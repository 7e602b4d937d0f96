"""Python's `redis` as a client of txkv: redis_py.py [CASE]... PORT

Exit status: 0, 1 where something is not as it should be, 77 where the module is not there.
The cases are those of docs/clients.md.
"""
import sys

try:
    import redis
except ImportError:
    print("Python's redis is not installed (package python3-redis)")
    sys.exit(77)

PORT = int(sys.argv[-1])
BYTES = bytes(range(256))
RETRIES_MAX = 5


def connect(**options):
    return redis.Redis(host="127.0.0.1", port=PORT, socket_timeout=20, **options)


def dedicated(**options):
    """A client for transactions: of one connection, which does not send a call again by another one (retry)."""
    return connect(single_connection_client=True, retry=None, **options)


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def refused(text, call, *arguments):
    """The call must fail with an error that begins so. The library takes the codes away that it knows (ERR, READONLY)."""
    try:
        got = call(*arguments)
    except redis.ResponseError as error:
        same(str(error)[: len(text)], text)
    else:
        raise AssertionError(f"got {got!r}, wanted the error {text}")


def handshake():
    r = connect(db=0, client_name="test", health_check_interval=1)
    same(r.ping(), True)
    same(r.client_getname(), "test")
    info = r.info()
    same((info["redis_version"], info["loading"]), ("7.0.15", 0))
    same(r.execute_command("SELECT", 0), True)
    refused("DB index is out of range", connect(db=1).ping)


def strings():
    r = connect()
    same(r.set("key", "value"), True)
    same(r.get("key"), b"value")
    same(r.get("nothing"), None)
    same(r.set(BYTES, BYTES * 1000), True)
    same(r.get(BYTES), BYTES * 1000)
    same(r.mset({"a": "1", "b": ""}), True)
    same(r.mget("a", "b", "nothing"), [b"1", b"", None])
    same(r.incr("a", 41), 42)
    same((r.exists("a", "b", "nothing"), r.delete("a", "b", "nothing"), r.append("key", "s")), (2, 2, 6))
    same(connect(decode_responses=True).get("key"), "values")
    refused("value is not an integer", r.incr, "key")
    refused("unknown command", r.execute_command, "NO-SUCH-COMMAND")


def expiry():
    r = connect()
    same(r.set("key", "value", ex=100, nx=True), True)
    same(r.set("key", "other", nx=True), None)
    same((0 < r.ttl("key") <= 100, 0 < r.pttl("key") <= 100000), (True, True))
    same((r.persist("key"), r.ttl("key"), r.ttl("nothing")), (True, -1, -2))
    same(r.set("key", "new", get=True), b"value")
    same((r.expire("key", 100), r.getex("key", persist=True), r.ttl("key")), (True, b"new", -1))
    same((r.pexpire("key", -1), r.exists("key")), (True, 0))


def pipeline():
    r = connect()
    pipe = r.pipeline(transaction=False)
    for i in range(1000):
        pipe.set(f"key{i}", i)
        pipe.get(f"key{i}")
    answers = pipe.execute()
    same(answers[0::2], [True] * 1000)
    same(answers[1::2], [b"%d" % i for i in range(1000)])


def multi():
    r = connect()
    pipe = r.pipeline(transaction=True)
    pipe.set("n", 1).incr("n").get("n")
    same(pipe.execute(), [True, 2, b"2"])
    pipe.set("text", "x").incr("text").set("after", 1)
    answers = pipe.execute(raise_on_error=False)
    same((answers[0], type(answers[1]), answers[2]), (True, redis.ResponseError, True))
    pipe.execute_command("NO-SUCH-COMMAND").set("after", 2)
    refused("Command # 1 (NO-SUCH-COMMAND)", pipe.execute)
    same(r.get("after"), b"1")


def watch():
    r = connect()
    other = connect()
    r.set("n", 1)
    with r.pipeline() as pipe:
        pipe.watch("n")
        same(pipe.get("n"), b"1")
        other.set("n", 10)
        pipe.multi()
        pipe.set("n", 2)
        try:
            answers = pipe.execute()
        except redis.WatchError:
            pass
        else:
            raise AssertionError(f"EXEC ran: {answers!r}")
    same(r.get("n"), b"10")

    seen = []

    def add_one(pipe):
        seen.append(int(pipe.get("n")))
        if len(seen) == 1:
            other.set("n", 20)
        pipe.multi()
        pipe.set("n", seen[-1] + 1)

    same(r.transaction(add_one, "n"), [True])  # the library's own helper tries again
    same((seen, r.get("n")), ([10, 20], b"21"))


def transaction():
    r = dedicated()
    other = connect()
    r.set("balance", 100)
    same(r.execute_command("BEGIN"), b"OK")
    same(r.get("balance"), b"100")
    other.set("balance", 50)
    same(r.get("balance"), b"100")
    same(r.decrby("balance", 10), 90)
    same(r.get("balance"), b"90")
    same(r.set("note", BYTES), True)
    same((other.get("note"), other.get("balance")), (None, b"50"))
    same(r.execute_command("COMMIT"), b"OK")
    same((other.get("note"), other.get("balance")), (BYTES, b"90"))
    r.execute_command("BEGIN READONLY")
    refused("this transaction is READONLY", r.set, "note", "x")
    refused("ABORTED", r.get, "note")
    r.execute_command("ROLLBACK")
    pool = redis.ConnectionPool(host="127.0.0.1", port=PORT, max_connections=1)  # the other way to one connection
    connection = pool.get_connection("BEGIN")
    for words, answer in ((("BEGIN",), b"OK"), (("INCR", "balance"), 91), (("ROLLBACK",), b"OK")):
        connection.send_command(*words)
        same(connection.read_response(), answer)
    pool.release(connection)
    same(r.get("balance"), b"90")


def conflict():
    r = dedicated()
    other = connect()
    r.set("stock", 5)
    tries = 0
    while True:
        tries += 1
        r.execute_command("BEGIN SERIALIZABLE")
        stock = int(r.get("stock"))
        if tries == 1:
            other.set("stock", 3)
        r.set("stock", stock - 1)
        try:
            r.execute_command("COMMIT")
            break
        except redis.ResponseError as error:
            if not str(error).startswith("CONFLICT ") or tries == RETRIES_MAX:
                raise
            same(other.get("stock"), b"3")
    same((tries, other.get("stock")), (2, b"2"))


def restart():
    print("restart", flush=True)
    same(sys.stdin.readline(), "restarted\n")


def lost():
    """A transaction whose connection is lost is never applied, nor any part of it that the program sends behind."""
    r = dedicated()
    r.set("kept", BYTES)
    r.execute_command("BEGIN")
    r.set("half", 1)
    restart()
    try:
        r.execute_command("COMMIT")
    except redis.ConnectionError:
        pass
    else:
        raise AssertionError("COMMIT of a transaction that is lost")
    same((r.get("kept"), r.get("half")), (BYTES, None))  # it has connected again
    refused("COMMIT without", r.execute_command, "COMMIT")


def reconnect():
    r = connect()
    r.set("key", "value")
    restart()
    try:
        r.get("key")
    except redis.ConnectionError:
        pass
    same(r.get("key"), b"value")
    again = redis.retry.Retry(redis.backoff.NoBackoff(), 3)
    r = connect(retry=again, retry_on_error=[redis.ConnectionError])
    same(r.get("key"), b"value")
    restart()
    same(r.get("key"), b"value")  # by itself


def closing():
    r = connect()
    r.set("key", "value")
    r.close()
    r.connection_pool.disconnect()
    one = dedicated()
    one.execute_command("BEGIN")
    one.set("key", "lost")
    one.close()
    one.connection_pool.disconnect()
    asked = dedicated()
    same(asked.get("key"), b"value")
    same(asked.execute_command("QUIT"), True)


CASES = [handshake, strings, expiry, pipeline, multi, watch, transaction, conflict, lost, reconnect, closing]

chosen = sys.argv[1:-1]
print(f"redis-py {redis.__version__}")
for case in CASES:
    if not chosen or case.__name__ in chosen:
        print(case.__name__)
        connect().flushall()
        case()
