// What both clients for Node.js are tested with: a client's file gives its cases, this one runs them.
//
//     node CLIENT.js MODULE [CASE]... PORT
//
// MODULE is a name of package.json, so that several versions of a client can be here. Exit status: 0, 1 where something is not
// as it should be, 77 where the module is not there or wants a newer Node.js.
'use strict'

const assert = require('node:assert')
const readline = require('node:readline')

const SKIPPED = 77

const [moduleName, ...rest] = process.argv.slice(2)
const port = Number(rest.pop())
const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
const input = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()

function skip(why) {
  console.log(why)
  process.exit(SKIPPED)
}

// The module and its version.
function load() {
  let description
  try {
    description = require(`${moduleName}/package.json`)
  } catch {
    skip(`${moduleName} is not here: scripts/test installs it from npm's registry, where that can be reached`)
  }
  const wanted = Number(/\d+/.exec(description.engines.node)[0])
  if (Number(process.versions.node.split('.')[0]) < wanted) {
    skip(`${moduleName} ${description.version} needs Node.js ${wanted}, this is ${process.versions.node}`)
  }
  return { module: require(moduleName), version: description.version }
}

const same = assert.deepStrictEqual

// The promise must be rejected with an error whose text begins so.
async function refused(promise, text) {
  let got
  try {
    got = await promise
  } catch (error) {
    same(String(error.message).slice(0, text.length), text)
    return
  }
  assert.fail(`got ${got}, wanted the error ${text}`)
}

// The promise must be rejected, with an error of this class if one is given.
async function rejected(promise, kind = Error) {
  await assert.rejects(promise, kind)
}

// Has the server killed and started again (with_server.c).
async function restart() {
  process.stdout.write('restart\n')
  same((await input.next()).value, 'restarted')
}

// Runs the cases that are asked for, or all: functions of the number of the protocol, which is 2 or 3.
async function run(name, protocols, cases, flush) {
  try {
    for (const protocol of protocols) {
      console.log(`${name}, RESP${protocol}, Node.js ${process.versions.node}`)
      for (const one of cases.filter(c => rest.length === 0 || rest.includes(c.name))) {
        console.log(one.name)
        await flush(protocol)
        await one(protocol)
      }
    }
  } catch (error) {
    console.error(error)
    process.exit(1)
  }
  process.exit(0) // whatever a client keeps open
}

module.exports = { bytes, load, port, refused, rejected, restart, run, same }
