import { Logger, run } from 'graphile-worker'
import Trivial from './tasks/Trivial.ts'

// The least that somebody writes who starts graphile-worker himself.
await run({
  connectionString: process.env.DATABASE_URL,
  concurrency: 10,
  parsedCronItems: [],
  taskList: { Trivial },
  logger: new Logger(() => () => {})
})
