import type { Fault } from '../fault.ts'
import { abortEveryTime } from './abort.ts'
import { halfOpen, restarts, terminations } from './database.ts'
import { hoarding } from './fairness.ts'
import { killOneOfTwo, killOnLastAttempt, killTheOnlyOne } from './kill.ts'
import { killAgainAndAgain } from './ledger.ts'
import { recurringJobs } from './recurring.ts'
import { interrupts } from './signals.ts'
import { blockedEventLoop, stoppedProcess } from './standstill.ts'

/** Every fault, those first that take long and can share the machine. */
export const faults: readonly Fault[] = [
  halfOpen,
  abortEveryTime,
  killTheOnlyOne,
  killOneOfTwo,
  killOnLastAttempt,
  blockedEventLoop,
  stoppedProcess,
  hoarding,
  interrupts,
  killAgainAndAgain,
  terminations,
  restarts,
  recurringJobs
]
