import { onceDone } from '../helpers/cleanup.ts'
import { type Server, startServer } from '../helpers/server.ts'
import { suite } from '../helpers/suite.ts'
import { chooseSeed, createRandom, type Fault, type Outcome } from './fault.ts'
import { faults } from './faults/mod.ts'

const seed = chooseSeed()
const test = suite(`the chaos suite, short pass, KRETES_CHAOS_SEED=${seed}`)

// Those that wait most of their time run all at once; those that need a server to themselves one after another on theirs.
// A crash of PostgreSQL leaves what it has handed to the kernel: the full pass alone waits for the disk.
const [shared, own] = await Promise.all([startServer(), startServer()])
onceDone(() => Promise.all([shared.stop(), own.stop()]))
let last: Promise<unknown> = Promise.resolve()
for (const fault of faults) {
  const outcome = fault.isAlone ? last.then(() => provoke(fault, own)) : provoke(fault, shared)
  if (fault.isAlone) last = outcome.catch(() => {})
  outcome.catch(() => {})
  test(fault.name, () => outcome)
}

function provoke(fault: Fault, server: Server): Promise<Outcome> {
  return fault.run({ server, scale: 'short', random: createRandom(seed) })
}
