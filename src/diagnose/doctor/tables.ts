import { findStrays, readCurrentSchema } from '../../sql/database/strays.ts'
import { findHolders, findLackingPrivileges, type Holder, readJobTable, readServer } from '../../sql/ledger/doctor.ts'
import { ownSchema } from '../../sql/names.ts'
import type { Access, Execute } from '../../sql/statement.ts'
import { counted, lengthOf } from '../../text/amounts.ts'
import { type Finding, type FindingCode, problem, warning } from './finding.ts'
import { examineLedger } from './ledger.ts'
import type { Limits } from './limits.ts'

/** Examines the tables: the privileges, whether vacuum keeps them small, and how the ledger grows. */
export async function examineTables(access: Access, limits: Limits): Promise<Finding[]> {
  const { execute, schema } = access
  const lacking = await findLackingPrivileges(execute, schema)
  const findings = lacking.length > 0 ? [whenForbidden(lacking)] : []
  // Without `usage` on a schema, no other question about it can be asked.
  if (lacking.some(privilege => privilege.startsWith('usage'))) return findings
  return [
    ...findings,
    ...(await examineNames(execute, schema)),
    ...(await examineVacuum(execute, schema, limits)),
    ...(await findHolders(execute, limits.holderMs)).map(whenHeldBack),
    ...(await examineLedger(access, limits))
  ]
}

function whenForbidden(lacking: readonly string[]): Finding {
  return problem(
    'privileges',
    `This user lacks ${lacking.join('; ')}`,
    'Let workers connect as the owner of both schemas: they create and drop the partitions of the ledger. An application that only schedules needs less'
  )
}

/** The default search path begins with the schema of the user's name, which for a user called kretes is ours. */
async function examineNames(execute: Execute, engine: string): Promise<Finding[]> {
  const findings: Finding[] = []
  const { schema, user } = await readCurrentSchema(execute)
  if (schema === engine || schema === ownSchema(engine)) {
    findings.push(
      warning(
        'search-path',
        `The search path of the user ${user} begins with ${schema}, so objects that it creates without a schema land among kretes' own tables`,
        `alter role ${quoted(user)} set search_path = public, then connect again; or let the application connect as another user`
      )
    )
  }
  const strays = await findStrays(execute, ownSchema(engine))
  if (strays.length > 0) {
    const named = strays.slice(0, MOST_NAMED).map(({ name }) => name)
    findings.push(
      warning(
        'search-path',
        `${ownSchema(engine)} contains objects that are not kretes' own: ${named.join(', ')}${strays.length > MOST_NAMED ? ' and more' : ''}`,
        `Move them: ${strays
          .slice(0, MOST_NAMED)
          .map(({ statement }) => statement)
          .join('; ')}`
      )
    )
  }
  return findings
}

function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

async function examineVacuum(execute: Execute, schema: string, limits: Limits): Promise<Finding[]> {
  const server = await readServer(execute)
  const { table, dead, live, hasAutovacuum, vacuumedMsAgo } = await readJobTable(execute, schema)
  const findings: Finding[] = []
  if (!server.hasAutovacuum || !hasAutovacuum) {
    const [where, remedy] = server.hasAutovacuum
      ? [`for the table ${table}`, `alter table ${table} reset (autovacuum_enabled)`]
      : ['on the whole server', 'alter system set autovacuum = on; select pg_reload_conf()']
    const message = `Autovacuum is off ${where}: the rows of finished jobs stay, and each makes fetching slower`
    findings.push(problem('autovacuum-off', message, remedy))
  }
  const isKeepingUp = vacuumedMsAgo !== null && vacuumedMsAgo < RECENT_MS
  if (dead > limits.deadRows && dead > 2 * live && !isKeepingUp) {
    const age = vacuumedMsAgo === null ? 'it was never vacuumed' : `its last vacuum was ${lengthOf(vacuumedMsAgo)} ago`
    const message = `The table of jobs has ${counted(dead, 'dead row')} to ${live.toLocaleString('en')} live ones, and ${age}`
    const remedy = `vacuum ${table}. If that frees nothing, something holds it back: see the other findings`
    findings.push(warning('bloat', message, remedy))
  }
  return findings
}

function whenHeldBack({ kind, name, ageMs }: Holder): Finding {
  const [code, what, remedy] = HOLDERS[kind]
  const age = ageMs === null ? '' : ` for ${lengthOf(ageMs)}`
  return {
    code,
    severity: 'warning',
    message: `${what} ${name} has kept vacuum from removing dead rows${age}`,
    remedy: remedy.replaceAll('%', /\d+/.exec(name)?.[0] ?? '').replaceAll('#', name)
  }
}

const HOLDERS: Readonly<Record<Holder['kind'], readonly [FindingCode, string, string]>> = {
  transaction: ['old-transaction', 'The transaction of', 'End it: select pg_terminate_backend(%)'],
  slot: [
    'replication-slot',
    'The unused replication slot',
    "Reconnect its reader, or drop it: select pg_drop_replication_slot('#')"
  ],
  prepared: ['prepared-transaction', 'The prepared transaction', "End it: rollback prepared '#'"]
}

const MOST_NAMED = 20

/** A table that was vacuumed so lately is in order, however many dead rows it has now. */
const RECENT_MS = 10 * 60_000
