type Step = () => unknown

const steps: Step[] = []
let isRunning = false

/** Registers a step that runs when the tests of this process are over, latest first, however they ended. */
export function onceDone(step: Step): void {
  steps.push(step)
}

/** Runs every registered step, each once; the errors of all of them are thrown together. */
export async function cleanUp(): Promise<void> {
  if (isRunning) return
  isRunning = true
  const errors: unknown[] = []
  for (let step = steps.pop(); step; step = steps.pop()) {
    try {
      await step()
    } catch (error) {
      errors.push(error)
    }
  }
  isRunning = false
  if (errors.length > 0) throw new AggregateError(errors, `Cannot clean up: ${errors.map(String).join('; ')}`)
}
