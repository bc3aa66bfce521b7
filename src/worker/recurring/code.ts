import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import process from 'node:process'
import { declarationsOf } from '../../cron/declaration.ts'
import { findProject } from '../../database/project.ts'
import { DEFAULT_MAX_BYTES } from '../../enqueue/payload.ts'
import { BackgroundError } from '../../errors.ts'
import { readDefinition } from '../../recurring/options.ts'
import type { Version } from '../../sql/recurring/deploy.ts'
import type { EntryDefinition } from '../../sql/recurring/row.ts'
import { type AnyTask, optionsOf } from '../../task.ts'

/** The recurring jobs that the code of a worker declares. */
export interface DeclaredJobs {
  readonly definitions: readonly EntryDefinition[]
  /** The program to which the code belongs: the name of its package, and where its tasks are. */
  readonly source: string
  /** The version of each task of the program. */
  readonly versions: readonly Version[]
}

/**
 * Reads the recurring jobs that tasks declare.
 *
 * @param place the directory of the tasks; without it, the program's main module stands for it
 * @throws {BackgroundError} `TASKS` with the problems of all of them
 */
export async function readDeclaredJobs(
  tasks: ReadonlyMap<string, AnyTask>,
  place: string | undefined,
  schema: string
): Promise<DeclaredJobs> {
  const settings = { schema, defaults: {}, maxPayloadBytes: DEFAULT_MAX_BYTES }
  const definitions: EntryDefinition[] = []
  const problems: unknown[] = []
  for (const [task, run] of tasks) {
    for (const [name, declaration] of declarationsOf(task, optionsOf(run))) {
      try {
        const define = readDefinition(name, { ...declaration, task: run } as never, settings)
        definitions.push(await define(undefined))
      } catch (error) {
        problems.push(error)
      }
    }
  }
  if (problems.length > 0) throw toError(problems)
  const ofTask = Map.groupBy(definitions, ({ task }) => task)
  return {
    definitions,
    source: sourceOf(place),
    versions: [...tasks.keys()].map(task => toVersion(task, ofTask.get(task) ?? []))
  }
}

function toError(problems: readonly unknown[]): BackgroundError {
  const lines = problems.map(problem => `  ${problem instanceof Error ? problem.message : problem}`)
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  const cause = problems.length === 1 ? problems[0] : new AggregateError(problems)
  return new BackgroundError('TASKS', [`Cannot load the recurring jobs of the tasks: ${count}`, ...lines].join('\n'), {
    cause
  })
}

/** The same for all versions of a program, and another one for each program that shares the database. */
function sourceOf(place: string | undefined): string {
  const project = findProject(process.cwd())
  const path = relative(project, place ?? process.argv[1] ?? '').replaceAll(sep, '/')
  return [nameOf(project), path].filter(part => part !== '').join(' ')
}

function nameOf(project: string): string {
  for (const manifest of ['package.json', 'deno.json']) {
    try {
      const { name } = JSON.parse(readFileSync(join(project, manifest), 'utf8'))
      if (typeof name === 'string') return name
    } catch {
      // Without a manifest that can be read, the path has to do.
    }
  }
  return ''
}

function toVersion(task: string, definitions: readonly EntryDefinition[]): Version {
  // The order in which they are written makes no other version.
  const parts = definitions.map(definition => JSON.stringify(definition)).sort()
  const fingerprint = createHash('sha256').update(parts.join('\n')).digest('base64url').slice(0, 22)
  return { task, fingerprint, isEmpty: definitions.length === 0 }
}
