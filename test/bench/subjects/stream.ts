import { createBackground } from '../../../src/background.ts'
import { readSettings, tell } from './messages.ts'
import { payload } from './system.ts'

/** What the process gets. */
export interface StreamSettings {
  url: string
  count: number
}

/** What it finds out. */
export interface StreamResult {
  /** Jobs a second. */
  rate: number
  /** The most resident memory above that at the start, in bytes. */
  aboveStart: number
}

// An application that schedules more jobs than it could hold.
const { url, count } = readSettings<StreamSettings>()
const background = createBackground({ connection: url })
await background.schedule({ task: 'Trivial', payload })

async function* payloads(): AsyncGenerator<{ to: string }> {
  for (let user = 0; user < count; user++) yield { to: `user-${user}@example.com` }
}

const started = { memory: process.memoryUsage.rss(), ms: performance.now() }
let most = started.memory
const onProgress = (): void => {
  most = Math.max(most, process.memoryUsage.rss())
}
const sent = await background.scheduleMany({ task: 'Trivial', payloads: payloads() }, { returning: false, onProgress })
onProgress()
if (sent !== count) throw new Error(`Cannot trust the measure: ${sent} jobs were scheduled instead of ${count}`)
const result: StreamResult = {
  rate: (count / (performance.now() - started.ms)) * 1_000,
  aboveStart: most - started.memory
}
await tell({ result })
