// ioredis as a client of txkv; what is tested: docs/clients.md
'use strict'

const { bytes, load, port, refused, rejected, restart, run, same } = require('./cases.js')

const { module: Redis, version } = load()
const protocols = Number(version.split('.')[0]) < 6 ? [2] : [2, 3]
const RETRIES_MAX = 5

const open = new Set()

function connect(protocol, options) {
  const r = new Redis({ host: '127.0.0.1', port, protocol, commandTimeout: 20000, ...options })
  r.on('error', () => {}) // of its connection: the calls say it
  open.add(r)
  return r
}

// A client for transactions: one that does not connect again behind the back of a transaction that is lost.
function dedicated(protocol) {
  return connect(protocol, { retryStrategy: () => null })
}

async function flush(protocol) {
  for (const r of open) {
    r.disconnect()
  }
  open.clear()
  await connect(protocol).flushall()
}

async function handshake(protocol) {
  const r = connect(protocol, { connectionName: 'test', db: 0 })
  same(await r.ping(), 'PONG')
  same(r.status, 'ready') // INFO said loading:0
  same(await r.client('GETNAME'), 'test')
  const hello = await r.call('HELLO')
  same(hello[hello.indexOf('proto') + 1], protocol)
  same(await r.select(0), 'OK')
  await refused(r.select(1), 'ERR DB index is out of range')
}

async function strings(protocol) {
  const r = connect(protocol)
  same(await r.set('key', 'value'), 'OK')
  same(await r.get('key'), 'value')
  same(await r.get('nothing'), null)
  same(await r.set(bytes, bytes), 'OK')
  same(await r.getBuffer(bytes), bytes)
  same(await r.mset({ a: '1', b: '' }), 'OK')
  same(await r.mget('a', 'b', 'nothing'), ['1', '', null])
  same(await r.incrby('a', 41), 42)
  same([await r.exists('a', 'b', 'nothing'), await r.del('a', 'b', 'nothing')], [2, 2])
  await refused(r.incr('key'), 'ERR value is not an integer or out of range')
  await refused(r.call('NO-SUCH-COMMAND', 'x'), "ERR unknown command 'NO-SUCH-COMMAND', with args beginning with: 'x'")
}

async function expiry(protocol) {
  const r = connect(protocol)
  same(await r.set('key', 'value', 'EX', 100, 'NX'), 'OK')
  same(await r.set('key', 'other', 'NX'), null)
  const ttl = await r.pttl('key')
  same(ttl > 0 && ttl <= 100000, true)
  same([await r.persist('key'), await r.ttl('key'), await r.ttl('nothing')], [1, -1, -2])
  same(await r.set('key', 'new', 'GET'), 'value')
  same([await r.expire('key', 100), await r.getex('key', 'PERSIST'), await r.ttl('key')], [1, 'new', -1])
  same([await r.pexpire('key', -1), await r.exists('key')], [1, 0])
}

async function pipeline(protocol) {
  const pipe = connect(protocol).pipeline()
  for (let i = 0; i < 1000; i++) {
    pipe.set(`key${i}`, i).get(`key${i}`)
  }
  const answers = await pipe.exec()
  same(answers.length, 2000)
  answers.forEach((answer, i) => same(answer, [null, i % 2 === 0 ? 'OK' : String((i - 1) / 2)]))
}

async function multi(protocol) {
  const r = connect(protocol)
  same(await r.multi().set('n', 1).incr('n').get('n').exec(), [[null, 'OK'], [null, 2], [null, '2']])
  const answers = await r.multi().set('text', 'x').incr('text').set('after', 1).exec()
  same(answers.map(([error]) => error && error.message), [null, 'ERR value is not an integer or out of range', null])
  await refused(r.multi().call('NO-SUCH-COMMAND').set('after', 2).exec(), 'EXECABORT')
  same(await r.get('after'), '1')
}

async function watch(protocol) {
  const r = connect(protocol)
  const other = connect(protocol)
  await r.set('n', 1)
  await r.watch('n')
  const n = Number(await r.get('n'))
  await other.set('n', 10)
  same(await r.multi().set('n', n + 1).exec(), null)
  same(await r.get('n'), '10')
  await r.watch('n')
  same(await r.multi().set('n', 11).exec(), [[null, 'OK']])
}

async function transaction(protocol) {
  const r = dedicated(protocol)
  const other = connect(protocol)
  await r.set('balance', 100)
  same(await r.call('BEGIN'), 'OK')
  same(await r.get('balance'), '100')
  await other.set('balance', 50)
  same(await r.get('balance'), '100')
  same(await r.decrby('balance', 10), 90)
  same(await r.set('note', bytes), 'OK')
  same([await r.get('balance'), await other.get('balance'), await other.get('note')], ['90', '50', null])
  same(await r.call('COMMIT'), 'OK')
  same([await other.get('balance'), await other.getBuffer('note')], ['90', bytes])
  await r.call('BEGIN', 'READONLY')
  await refused(r.set('note', 'x'), 'READONLY')
  await refused(r.get('note'), 'ABORTED')
  same(await r.call('ROLLBACK'), 'OK')
}

async function conflict(protocol) {
  const r = dedicated(protocol)
  const other = connect(protocol)
  await r.set('stock', 5)
  let tries = 0
  for (;;) {
    tries++
    await r.call('BEGIN', 'SERIALIZABLE')
    const stock = Number(await r.get('stock'))
    if (tries === 1) {
      await other.set('stock', 3)
    }
    await r.set('stock', stock - 1)
    try {
      await r.call('COMMIT')
      break
    } catch (error) {
      if (error.message.split(' ')[0] !== 'CONFLICT' || tries === RETRIES_MAX) {
        throw error
      }
      same(await other.get('stock'), '3')
    }
  }
  same([tries, await other.get('stock')], [2, '2'])
}

async function lost(protocol) {
  const r = dedicated(protocol)
  await r.set('kept', bytes)
  await r.call('BEGIN')
  await r.set('half', 1)
  await restart()
  await rejected(r.set('other half', 1))
  await rejected(r.call('COMMIT'))
  const again = connect(protocol)
  same(await again.getBuffer('kept'), bytes)
  same(await again.mget('half', 'other half'), [null, null])
}

async function reconnect(protocol) {
  const r = connect(protocol)
  await r.set('key', 'value')
  await restart()
  same(await r.get('key'), 'value') // by itself
}

async function closing(protocol) {
  const r = connect(protocol)
  await r.call('BEGIN')
  await r.set('key', 'lost')
  same(await r.quit(), 'OK')
  same(await connect(protocol).get('key'), null)
}

const cases = [
  handshake, strings, expiry, pipeline, multi, watch, transaction, conflict, lost, reconnect, closing
]
run(`ioredis ${version}`, protocols, cases, flush)
