import type { Sql } from 'postgres'
import { codeOf, describeFailure } from '../database/failure.ts'
import { areViewsOld, NEWEST, NEWEST_OF_ENGINE } from '../database/migrate.ts'
import { executeIn } from '../database/session.ts'
import { readServer, type ServerFacts } from '../sql/ledger/doctor.ts'
import { readVersions } from '../sql/migrations.ts'
import { ownSchema } from '../sql/names.ts'
import { examineConnection } from './doctor/connection.ts'
import type { Finding } from './doctor/finding.ts'
import { examineJobs } from './doctor/jobs.ts'
import { DEFAULT_LIMITS, type Limits } from './doctor/limits.ts'
import { examineTables } from './doctor/tables.ts'

/** What {@linkcode Inspection.doctor} tells. */
export interface Diagnosis {
  /** Whether nothing was found. */
  readonly isHealthy: boolean
  /** What was found, the gravest first. */
  readonly findings: readonly Finding[]
}

/** What {@linkcode diagnose} takes. */
export interface DiagnoseOptions {
  /** A client of its own, of at least three connections that prepare nothing. */
  readonly sql: Sql
  readonly schema: string
  /** How a message may name the database. */
  readonly label: string
  readonly limits?: Partial<Limits>
}

/** Looks for what is wrong, and changes nothing. */
export async function diagnose({ sql, schema, label, limits: given }: DiagnoseOptions): Promise<Diagnosis> {
  const limits = { ...DEFAULT_LIMITS, ...given }
  const access = { execute: executeIn(sql), schema, isOurs: true }
  const findings: Finding[] = []
  try {
    const beganMs = Date.now()
    const server = await readServer(sql)
    findings.push(...examineServer(server, { beganMs, endedMs: Date.now(), limits }))
    // A standby refuses to listen.
    if (!server.isReadOnly) findings.push(...(await examineConnection(sql, limits)))
    const schemas = await examineSchemas(sql, schema)
    findings.push(...schemas)
    if (schemas.length === 0) {
      findings.push(...(await examineTables(sql, access, limits)))
      findings.push(...(await examineJobs(access)))
    }
  } catch (error) {
    findings.push(toFinding(error, label))
  }
  findings.sort((left, right) => Number(right.severity === 'error') - Number(left.severity === 'error'))
  return { isHealthy: findings.length === 0, findings }
}

function* examineServer(
  { version, versionNumber, clockMs, isReadOnly }: ServerFacts,
  { beganMs, endedMs, limits }: { beganMs: number; endedMs: number; limits: Limits }
): Iterable<Finding> {
  if (versionNumber < OLDEST_VERSION) {
    yield {
      code: 'postgres-version',
      severity: 'error',
      message: `The server is PostgreSQL ${version}, and kretes needs 14 or newer`,
      remedy: 'Upgrade PostgreSQL'
    }
  }
  if (isReadOnly) {
    yield {
      code: 'read-only',
      severity: 'error',
      message: 'The database is read-only: a standby, or set so by default_transaction_read_only',
      remedy: 'Connect to the primary'
    }
  }
  // The server looked at its clock at some time in between.
  const skewMs = Math.max(clockMs - endedMs, beganMs - clockMs)
  if (skewMs > limits.clockSkewMs) {
    const side = clockMs > endedMs ? 'behind' : 'ahead of'
    yield {
      code: 'clock-skew',
      severity: 'warning',
      message: `The clock of this machine is ${(skewMs / 1_000).toFixed(1)} s ${side} that of the database, by which jobs run`,
      remedy:
        'Synchronise both clocks (NTP). Until then prefer delays to times: they are counted from the database’s clock'
    }
  }
}

async function examineSchemas(sql: Sql, schema: string): Promise<Finding[]> {
  const own = ownSchema(schema)
  const versions = await readVersions(sql, schema)
  const { engine, breaking, own: ours } = versions
  const newer = [
    ...((ours ?? 0) > NEWEST ? [`${own} (${ours}, known up to ${NEWEST})`] : []),
    ...((breaking ?? 0) > NEWEST_OF_ENGINE ? [`${schema} (${breaking}, known up to ${NEWEST_OF_ENGINE})`] : [])
  ]
  if (newer.length > 0) {
    return [
      {
        code: 'schema-newer',
        severity: 'error',
        message: `The database was migrated by a newer kretes: ${newer.join(', ')}`,
        remedy: 'Update kretes here'
      }
    ]
  }
  const remedy = 'Run: kretes background migrate. Or start a worker, which does so itself'
  if ((engine ?? 0) >= NEWEST_OF_ENGINE && (ours ?? 0) >= NEWEST) {
    if (!areViewsOld(versions)) return []
    return [
      {
        code: 'schema-incomplete',
        severity: 'error',
        message: `Views in ${own} are missing or out of date: a migration was interrupted, or somebody dropped them`,
        remedy
      }
    ]
  }
  const found = `${schema} at ${engine ?? 'none'} of ${NEWEST_OF_ENGINE}, ${own} at ${ours ?? 'none'} of ${NEWEST}`
  return [
    {
      code: 'migrations-missing',
      severity: 'error',
      message: `The schema is not up to date: ${found}`,
      remedy
    }
  ]
}

function toFinding(error: unknown, label: string): Finding {
  const isForbidden = codeOf(error) === '42501'
  return {
    code: isForbidden ? 'privileges' : 'unreachable',
    severity: 'error',
    message: isForbidden
      ? `This user may not look: ${describe(error)}`
      : `The database does not answer as it should: ${describeFailure(error, label)}`,
    remedy: isForbidden
      ? 'Grant it what the owner of the schemas has, or connect as the owner'
      : 'Check the connection string, that the server runs, and that it lets this machine in'
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

const OLDEST_VERSION = 140_000
