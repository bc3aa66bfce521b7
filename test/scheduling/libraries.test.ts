import { type } from 'arktype'
import * as valibot from 'valibot'
import { z } from 'zod'
import { createBackground } from '../../src/background.ts'
import { BackgroundError } from '../../src/errors.ts'
import { defineTask } from '../../src/task.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { contextFor } from '../tasks/context.ts'

const test = suite('schemas of real libraries')

const { sql, url } = await createDatabase()
const background = createBackground({ connection: url })
onceDone(() => background.close())

const run = ({ to }: { to: string }) => to
const tasks = {
  zod: defineTask({ name: 'Zod', schema: z.object({ to: z.email(), tags: z.array(z.string()).optional() }), run }),
  valibot: defineTask({
    name: 'Valibot',
    schema: valibot.object({
      to: valibot.pipe(valibot.string(), valibot.email()),
      tags: valibot.optional(valibot.array(valibot.string()))
    }),
    run
  }),
  arktype: defineTask({ name: 'Arktype', schema: type({ to: 'string.email', 'tags?': 'string[]' }), run })
}

for (const [name, task] of Object.entries(tasks)) {
  test(`of ${name} take what they describe, and name the path of what they do not`, async () => {
    const payload = { to: 'admin@example.com', tags: ['a'] }
    assert.is((await background.schedule({ task, payload })).task, task.name)
    assert.is(await task(payload, contextFor(task.name)), payload.to)
    for (const [wrong, path] of [
      [{ to: 'nobody' }, /: payload\.to: ./],
      [{ to: 'a@example.com', tags: ['a', 1] }, /: payload\.tags\[1\]: ./],
      [{}, /: payload\.to: ./]
    ] as const) {
      const error = await background.schedule({ task, payload: wrong as never }).catch(thrown => thrown)
      assert.instance(error, BackgroundError)
      assert.is(error.code, 'INVALID_PAYLOAD')
      assert.match(error.message, new RegExp(`^Cannot schedule ${task.name}${path.source}`))
    }
    const rows = await sql`select from graphile_worker.jobs where task_identifier = ${task.name}`
    assert.is(rows.length, 1)
  })
}
