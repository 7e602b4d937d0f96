// node-redis as a client of txkv; what is tested: docs/clients.md
'use strict'

const { bytes, load, port, refused, rejected, restart, run, same } = require('./cases.js')

const { module: redis, version } = load()
const RETRIES_MAX = 5

const open = new Set()

function options(protocol, socket) {
  return { RESP: protocol, socket: { host: '127.0.0.1', port, ...socket } }
}

async function started(client) {
  client.on('error', () => {}) // of its connection: the calls say it
  open.add(client)
  await client.connect()
  return client
}

async function connect(protocol, more, socket) {
  return started(redis.createClient({ ...options(protocol, socket), ...more }))
}

// A client for transactions: one that does not connect again behind the back of a transaction that is lost.
async function dedicated(protocol) {
  return connect(protocol, {}, { reconnectStrategy: false })
}

function binary(client) {
  return client.withTypeMapping({ [redis.RESP_TYPES.BLOB_STRING]: Buffer })
}

async function flush(protocol) {
  for (const client of open) {
    if (client.isOpen) {
      client.destroy()
    }
  }
  open.clear()
  await (await connect(protocol)).flushAll()
}

async function handshake(protocol) {
  const r = await connect(protocol, { name: 'test', database: 0 })
  same(await r.ping(), 'PONG')
  same(await r.clientGetName(), 'test')
  const hello = await r.sendCommand(['HELLO'])
  same(protocol === 3 ? hello.proto : hello[hello.indexOf('proto') + 1], protocol)
  same(/\r\nloading:0\r\n/.test(await r.info()), true)
  await r.select(0)
  await refused(r.select(1), 'ERR DB index is out of range')
}

async function strings(protocol) {
  const r = await connect(protocol)
  same(await r.set('key', 'value'), 'OK')
  same(await r.get('key'), 'value')
  same(await r.get('nothing'), null)
  same(await r.set(bytes, bytes), 'OK')
  same(await binary(r).get(bytes), bytes)
  same(await r.mSet({ a: '1', b: '' }), 'OK')
  same(await r.mGet(['a', 'b', 'nothing']), ['1', '', null])
  same(await r.incrBy('a', 41), 42)
  same([await r.exists(['a', 'b', 'nothing']), await r.del(['a', 'b', 'nothing'])], [2, 2])
  await refused(r.incr('key'), 'ERR value is not an integer or out of range')
  await refused(r.sendCommand(['NO-SUCH-COMMAND', 'x']),
    "ERR unknown command 'NO-SUCH-COMMAND', with args beginning with: 'x'")
}

async function expiry(protocol) {
  const r = await connect(protocol)
  same(await r.set('key', 'value', { expiration: { type: 'EX', value: 100 }, condition: 'NX' }), 'OK')
  same(await r.set('key', 'other', { condition: 'NX' }), null)
  const ttl = await r.pTTL('key')
  same(ttl > 0 && ttl <= 100000, true)
  same([await r.persist('key'), await r.ttl('key'), await r.ttl('nothing')], [1, -1, -2])
  same(await r.set('key', 'new', { GET: true }), 'value')
  same([await r.expire('key', 100), await r.getEx('key', { type: 'PERSIST' }), await r.ttl('key')], [1, 'new', -1])
  same([await r.pExpire('key', -1), await r.exists('key')], [1, 0])
}

async function pipeline(protocol) {
  const r = await connect(protocol)
  const calls = []
  for (let i = 0; i < 1000; i++) { // of one turn of the loop: it sends them together
    calls.push(r.set(`key${i}`, String(i)), r.get(`key${i}`))
  }
  const answers = await Promise.all(calls)
  answers.forEach((answer, i) => same(answer, i % 2 === 0 ? 'OK' : String((i - 1) / 2)))
  same(await r.multi().set('a', '1').get('a').execAsPipeline(), ['OK', '1'])
}

async function multi(protocol) {
  const r = await connect(protocol)
  same(await r.multi().set('n', '1').incr('n').get('n').exec(), ['OK', 2, '2'])
  await rejected(r.multi().set('text', 'x').incr('text').set('after', '1').exec())
  same(await r.get('after'), '1')
  await rejected(r.multi().addCommand(['NO-SUCH-COMMAND']).set('after', '2').exec())
  same(await r.get('after'), '1')
}

async function watch(protocol) {
  const r = await connect(protocol)
  const other = await connect(protocol)
  await r.set('n', '1')
  await r.watch('n')
  const n = Number(await r.get('n'))
  await other.set('n', '10')
  await rejected(r.multi().set('n', String(n + 1)).exec(), redis.WatchError)
  same(await r.get('n'), '10')
  const pool = redis.createClientPool(options(protocol))
  await pool.connect()
  const answers = await pool.execute(async client => { // a connection of its own, as WATCH needs
    await client.watch('n')
    return client.multi().set('n', String(Number(await client.get('n')) + 1)).exec()
  })
  same([answers, await r.get('n')], [['OK'], '11'])
  await pool.close()
}

async function transaction(protocol) {
  const r = await dedicated(protocol)
  const other = await connect(protocol)
  await r.set('balance', '100')
  same(await r.sendCommand(['BEGIN']), 'OK')
  same(await r.get('balance'), '100')
  await other.set('balance', '50')
  same(await r.get('balance'), '100')
  same(await r.decrBy('balance', 10), 90)
  same(await r.set('note', bytes), 'OK')
  same([await r.get('balance'), await other.get('balance'), await other.get('note')], ['90', '50', null])
  same(await r.sendCommand(['COMMIT']), 'OK')
  same([await other.get('balance'), await binary(other).get('note')], ['90', bytes])
  await r.sendCommand(['BEGIN', 'READONLY'])
  await refused(r.set('note', 'x'), 'READONLY')
  await refused(r.get('note'), 'ABORTED')
  same(await r.sendCommand(['ROLLBACK']), 'OK')
}

// Takes one from the stock, and again after a conflict; how often it tried. `disturb` runs in the first try.
async function takeOne(client, disturb) {
  for (let tries = 1; ; tries++) {
    await client.sendCommand(['BEGIN', 'SERIALIZABLE'])
    const stock = Number(await client.get('stock'))
    if (tries === 1) {
      await disturb()
    }
    await client.set('stock', String(stock - 1))
    try {
      await client.sendCommand(['COMMIT'])
      return tries
    } catch (error) {
      if (error.message.split(' ')[0] !== 'CONFLICT' || tries === RETRIES_MAX) {
        throw error
      }
    }
  }
}

async function conflict(protocol) {
  const other = await connect(protocol)
  const disturb = () => other.set('stock', '3')
  await other.set('stock', '5')
  same([await takeOne(await dedicated(protocol), disturb), await other.get('stock')], [2, '2'])
  const pool = redis.createClientPool(options(protocol, { reconnectStrategy: false }))
  await pool.connect()
  same([await pool.execute(client => takeOne(client, disturb)), await other.get('stock')], [2, '2'])
  await pool.close()
}

async function lost(protocol) {
  const r = await dedicated(protocol)
  await r.set('kept', bytes)
  await r.sendCommand(['BEGIN'])
  await r.set('half', '1')
  await restart()
  await rejected(r.set('other half', '1'))
  await rejected(r.sendCommand(['COMMIT']))
  const again = await connect(protocol)
  same(await binary(again).get('kept'), bytes)
  same(await again.mGet(['half', 'other half']), [null, null])
}

async function reconnect(protocol) {
  const r = await connect(protocol)
  await r.set('key', 'value')
  await restart()
  same(await r.get('key').catch(() => r.get('key')), 'value') // a call that was under way may fail
}

async function closing(protocol) {
  const r = await connect(protocol)
  await r.sendCommand(['BEGIN'])
  await r.set('key', 'lost')
  await r.close()
  same(await (await connect(protocol)).get('key'), null)
}

const cases = [
  handshake, strings, expiry, pipeline, multi, watch, transaction, conflict, lost, reconnect, closing
]
run(`node-redis ${version}`, [2, 3], cases, flush)
