import type { ClaimedJob } from '../../src/sql/worker/claim.ts'
import { createClaims } from '../../src/worker/claiming/claims.ts'
import type { Claim } from '../../src/worker/execution/claim.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the claims of a worker')

test('of a job that is claimed anew are two, and the end of the first leaves the second', () => {
  const claims = createClaims()
  claims.add([rowOf('1', 1_000)])
  const first = claims.of('1') as Claim
  claims.add([rowOf('1', 2_000)])
  const second = claims.of('1') as Claim
  assert.is.not(first, second)
  assert.equal([first.lockedAtMs, second.lockedAtMs, claims.size], [1_000, 2_000, 2])
  claims.confirm([first])
  assert.is(claims.of('1'), second)
  assert.equal([...claims.all()], [second])
  claims.confirm([second])
  assert.is(claims.of('1'), undefined)
  assert.is(claims.size, 0)
})

test('of which the newest ends first leave the job without a claim, and the older one in the account', () => {
  const claims = createClaims()
  claims.add([rowOf('1', 1_000)])
  const first = claims.of('1') as Claim
  claims.add([rowOf('1', 2_000)])
  claims.confirm([claims.of('1') as Claim])
  assert.is(claims.of('1'), undefined)
  assert.equal([...claims.all()], [first])
})

function rowOf(id: string, lockedAtMs: number): ClaimedJob {
  return {
    id,
    job_queue_id: null,
    queue_name: null,
    task_name: 'Fine',
    payload: {},
    priority: 0,
    run_at: new Date(0),
    attempts: 1,
    max_attempts: 25,
    key: null,
    created_at: new Date(0),
    locked_at: new Date(lockedAtMs),
    flags: null,
    last_error: null,
    rest: null
  }
}
