import type { Sql } from 'postgres'
import { createPool } from '../database/connections/pool.ts'
import { openSession, type Session } from '../database/connections/session.ts'
import { codeOf, describeFailure } from '../database/failure.ts'
import { areViewsOld, NEWEST, NEWEST_OF_ENGINE } from '../database/migrate.ts'
import { readVersions } from '../sql/database/migrations.ts'
import { readServer, type ServerFacts } from '../sql/ledger/doctor.ts'
import { ownSchema } from '../sql/names.ts'
import type { Execute } from '../sql/statement.ts'
import { lengthOf } from '../text/amounts.ts'
import { examineConnection } from './doctor/connection.ts'
import { type Finding, problem, warning } from './doctor/finding.ts'
import { examineLimits } from './doctor/flow-limits.ts'
import { examineJobs } from './doctor/jobs.ts'
import { DEFAULT_LIMITS, type Limits } from './doctor/limits.ts'
import { examinePauses } from './doctor/pauses.ts'
import { examineRecurring } from './doctor/recurring.ts'
import { examineTables } from './doctor/tables.ts'

/** The result of {@linkcode Monitoring.doctor}. */
export interface Diagnosis {
  /** Whether there are no findings. */
  readonly isHealthy: boolean
  /** The findings, errors first. */
  readonly findings: readonly Finding[]
}

/** Options of {@linkcode diagnose}. */
export interface DiagnoseOptions {
  /** A client with the options to connect with. It runs no statement. */
  readonly client: Sql
  readonly schema: string
  /** The name of the database in messages. */
  readonly label: string
  readonly limits?: Partial<Limits>
}

/** Looks for problems, and changes nothing. */
export async function diagnose({ client, schema, label, limits: given }: DiagnoseOptions): Promise<Diagnosis> {
  const limits = { ...DEFAULT_LIMITS, ...given }
  const pool = createPool(client, 1, SESSION)
  const { execute } = pool
  const access = { execute, schema, isOurs: true }
  const findings: Finding[] = []
  try {
    const beganMs = Date.now()
    const server = await readServer(execute)
    findings.push(...examineServer(server, { beganMs, endedMs: Date.now(), limits }))
    // A standby refuses `LISTEN`.
    if (!server.isReadOnly) {
      const open = (onNotice?: () => void): Session => openSession(client, { ...SESSION, onNotice })
      findings.push(...(await examineConnection(open, limits)))
    }
    const schemas = await examineSchemas(execute, schema)
    findings.push(...schemas)
    if (schemas.length === 0) {
      findings.push(...(await examineTables(access, limits)))
      findings.push(...(await examineJobs(access)))
      findings.push(...(await examineRecurring(access)))
      findings.push(...(await examinePauses(access, limits)))
      findings.push(...(await examineLimits(access, limits)))
    }
  } catch (error) {
    findings.push(toFinding(error, label))
  } finally {
    await pool.end()
  }
  findings.sort((left, right) => Number(right.severity === 'error') - Number(left.severity === 'error'))
  return { isHealthy: findings.length === 0, findings }
}

function* examineServer(
  { version, versionNumber, clockMs, isReadOnly }: ServerFacts,
  { beganMs, endedMs, limits }: { beganMs: number; endedMs: number; limits: Limits }
): Iterable<Finding> {
  if (versionNumber < OLDEST_VERSION) {
    yield problem(
      'postgres-version',
      `The server is PostgreSQL ${version}, and kretes needs 14 or newer`,
      'Upgrade PostgreSQL'
    )
  }
  if (isReadOnly) {
    yield problem(
      'read-only',
      'The database is read-only: a standby, or set so by default_transaction_read_only',
      'Connect to the primary'
    )
  }
  // The server read its clock at some time in between.
  const skewMs = Math.max(clockMs - endedMs, beganMs - clockMs)
  if (skewMs > limits.clockSkewMs) {
    const side = clockMs > endedMs ? 'behind' : 'ahead of'
    yield warning(
      'clock-skew',
      `The clock of this machine is ${lengthOf(skewMs)} ${side} that of the database, by which jobs run`,
      'Synchronize both clocks (NTP). Until then prefer delays to times: they count by the database’s clock'
    )
  }
}

async function examineSchemas(execute: Execute, schema: string): Promise<Finding[]> {
  const own = ownSchema(schema)
  const versions = await readVersions(execute, schema)
  const { engine, breaking, own: ours } = versions
  const newer = [
    ...((ours ?? 0) > NEWEST ? [`${own} (${ours}, known up to ${NEWEST})`] : []),
    ...((breaking ?? 0) > NEWEST_OF_ENGINE ? [`${schema} (${breaking}, known up to ${NEWEST_OF_ENGINE})`] : [])
  ]
  if (newer.length > 0) {
    const message = `The database was migrated by a newer kretes: ${newer.join(', ')}`
    return [problem('schema-newer', message, 'Update kretes here')]
  }
  const remedy = 'Run: kretes background migrate. Or start a worker, which migrates too'
  if ((engine ?? 0) < NEWEST_OF_ENGINE || (ours ?? 0) < NEWEST) {
    const found = `${schema} at ${engine ?? 'none'} of ${NEWEST_OF_ENGINE}, ${own} at ${ours ?? 'none'} of ${NEWEST}`
    return [problem('migrations-missing', `The schema is not up to date: ${found}`, remedy)]
  }
  if (!areViewsOld(versions)) return []
  const message = `Views in ${own} are missing or out of date: a migration was interrupted, or the views were dropped`
  return [problem('schema-incomplete', message, remedy)]
}

function toFinding(error: unknown, label: string): Finding {
  if (codeOf(error) === '42501') {
    const remedy = 'Grant it the privileges of the owner of the schemas, or connect as the owner'
    return problem('privileges', `This user may not look: ${error instanceof Error ? error.message : error}`, remedy)
  }
  const message = `The database does not answer as it should: ${describeFailure(error, label)}`
  return problem(
    'unreachable',
    message,
    'Check the connection string, and that the server runs and admits this machine'
  )
}

/** A pooler may not keep statements that are prepared by name. */
const SESSION = { name: 'kretes doctor', prepare: false }

const OLDEST_VERSION = 140_000
