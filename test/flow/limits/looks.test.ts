import type { LaneJob } from '../../../src/sql/flow/lanes.ts'
import type { Execute } from '../../../src/sql/statement.ts'
import { createClaims } from '../../../src/worker/claiming/claims.ts'
import { createLanes, type Lanes } from '../../../src/worker/claiming/limits/lanes.ts'
import { choiceOf } from '../../helpers/choice.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { virtualTime } from '../../helpers/virtual-time.ts'

const test = suite('looks for lanes')

const REST = { isCut: false, isCovered: false, leavesJobs: false, hasLanes: true, hasUnfiled: false, stuck: [] }
const ROOM = { slots: 5, jobs: 50 }

/** The lanes of a worker whose database answers at once, and finds these lanes, without jobs. */
function start(engine: { isHungry: boolean; wakes: number }): { lanes: Lanes; due: number[]; looks(): number } {
  const due: number[] = []
  let looks = 0
  const execute = (async ({ name }: { name?: string }): Promise<readonly unknown[]> => {
    if (!name?.startsWith('kretes_find_lanes')) return [] satisfies LaneJob[]
    looks++
    return due.map(id => ({ id }))
  }) as Execute
  const lanes = createLanes({
    execute,
    schema: 'graphile_worker',
    engine: {
      id: 'me',
      get isHungry() {
        return engine.isHungry
      },
      wake: () => void engine.wakes++
    },
    choice: choiceOf('Charge'),
    claims: createClaims(),
    most: new Map(),
    pollIntervalMs: 600_000,
    file: async () => {},
    insist: work => work(),
    limitsOf: () => [],
    weightOf: () => 1,
    onReady() {},
    onFreed() {}
  })
  return { lanes, due, looks: () => looks }
}

test('that come due during a fetch let the worker fetch again', async () => {
  using time = virtualTime()
  const engine = { isHungry: true, wakes: 0 }
  const { lanes, due, looks } = start(engine)
  lanes.learn(REST)
  await lanes.claim(ROOM)
  assert.equal([looks(), lanes.areWaiting], [1, false])
  time.pass(1_000)

  // A job is scheduled. The fetch that this causes is too early for a look, and takes longer than until that is due.
  due.push(7)
  lanes.expect()
  engine.isHungry = false
  await lanes.claim(ROOM)
  assert.equal([looks(), lanes.areWaiting], [1, false])
  time.pass(1_000)
  lanes.learn(REST)
  assert.equal([lanes.areWaiting, engine.wakes], [true, 0])

  await lanes.claim(ROOM)
  assert.is(looks(), 2)
  lanes.stop()
})

test('that come due while the worker has nothing to do wake it', async () => {
  using time = virtualTime()
  const engine = { isHungry: true, wakes: 0 }
  const { lanes } = start(engine)
  lanes.learn(REST)
  await lanes.claim(ROOM)
  lanes.expect()
  time.pass(1_000)
  assert.equal([lanes.areWaiting, engine.wakes], [true, 1])
  lanes.stop()
})

test('are no reason to fetch while the worker has no room', async () => {
  using time = virtualTime()
  const { lanes } = start({ isHungry: false, wakes: 0 })
  lanes.learn(REST)
  await lanes.claim({ slots: 0, jobs: 50 })
  time.pass(1_000)
  assert.is(lanes.areWaiting, false)
  lanes.stop()
})
