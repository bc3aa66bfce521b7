import type { createBackground } from '../../../src/background.ts'
import type { TestDatabase } from '../../helpers/database.ts'
import { until } from '../../helpers/until.ts'

/** The limits and keys that are held, in order. */
export async function holdsOf({ sql }: TestDatabase): Promise<readonly (readonly [limit: string, key: string])[]> {
  const rows = await sql<{ limit_name: string; part: string }[]>`
    select limit_name, part from kretes.holds where until > now() order by 1, 2`
  return rows.map(({ limit_name, part }) => [limit_name, part])
}

/** Waits until so many limits and keys are held. */
export async function areHeld(database: TestDatabase, count = 1): Promise<void> {
  await until(async () => (await holdsOf(database)).length === count, { what: `${count} holds` })
}

/** Until when the only limit is held. */
export async function heldUntil({ sql }: TestDatabase): Promise<Date | undefined> {
  const rows = await sql<{ until: Date }[]>`select until from kretes.holds`
  if (rows.length > 1) throw new Error(`Cannot say until when: there are ${rows.length} holds`)
  return rows[0]?.until
}

/** Waits until a worker without other work has run several jobs of the task `Free`: it could have run other jobs meanwhile. */
export async function runFree(background: ReturnType<typeof createBackground>): Promise<void> {
  for (let n = 0; n < 5; n++) await background.result(await background.schedule({ task: 'Free' }))
}
