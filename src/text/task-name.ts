/** Whether a name follows the convention for tasks, which excludes other files and functions. */
export function isTaskName(name: string): boolean {
  return typeof name === 'string' && TASK_NAME.test(name) && name.length <= MAX_NAME_LENGTH
}

/** Explains why a name cannot be a task's, for the second half of an error. */
export function notATaskName(name: string): string {
  if (typeof name !== 'string') return `its name is ${name === null ? 'null' : `of type ${typeof name}`}, not a string`
  if (name === '') return 'its name is empty'
  if (name.length > MAX_NAME_LENGTH) return `its name has ${name.length} characters, more than ${MAX_NAME_LENGTH}`
  return `its name ${JSON.stringify(name)} is not in CamelCase with a capital first letter`
}

/** The engine refuses longer names. */
const MAX_NAME_LENGTH = 128

const TASK_NAME = /^\p{Lu}[\p{L}\p{N}]*$/u
