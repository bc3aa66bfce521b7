import type { Sql } from 'postgres'
import { findHolders, findLackingPrivileges, type Holder, readJobTable, readServer } from '../../sql/ledger/doctor.ts'
import { ownSchema } from '../../sql/names.ts'
import type { Access } from '../../sql/statement.ts'
import { findStrays, readCurrentSchema } from '../../sql/strays.ts'
import { counted, lengthOf } from '../../text/amounts.ts'
import type { Finding, FindingCode } from './finding.ts'
import { examineLedger } from './ledger.ts'
import type { Limits } from './limits.ts'

/** Looks after the tables: who may use them, whether vacuum can keep them small, and how the ledger grows. */
export async function examineTables(sql: Sql, access: Access, limits: Limits): Promise<Finding[]> {
  const { schema } = access
  const lacking = await findLackingPrivileges(sql, schema)
  const findings = lacking.length > 0 ? [whenForbidden(lacking)] : []
  // Who may not look into a schema could not say more about it.
  if (lacking.some(privilege => privilege.startsWith('usage'))) return findings
  return [
    ...findings,
    ...(await examineNames(sql, schema)),
    ...(await examineVacuum(sql, schema, limits)),
    ...(await findHolders(sql, limits.holderMs)).map(whenHeldBack),
    ...(await examineLedger(sql, access, limits))
  ]
}

function whenForbidden(lacking: readonly string[]): Finding {
  return {
    code: 'privileges',
    severity: 'error',
    message: `This user lacks ${lacking.join('; ')}`,
    remedy:
      'Let workers connect as the owner of both schemas: they make and drop the partitions of the ledger. An application that only schedules needs less'
  }
}

/** The default search path begins with a schema of the user's name: that of a user called kretes is ours. */
async function examineNames(sql: Sql, engine: string): Promise<Finding[]> {
  const findings: Finding[] = []
  const { schema, user } = await readCurrentSchema(sql)
  if (schema === engine || schema === ownSchema(engine)) {
    findings.push({
      code: 'search-path',
      severity: 'warning',
      message: `What the user ${user} creates without naming a schema lands in ${schema}, among kretes' own tables: its search path begins there`,
      remedy: `alter role ${quoted(user)} set search_path = public, then connect anew; or let the application connect as another user`
    })
  }
  const strays = await findStrays(sql, ownSchema(engine))
  if (strays.length > 0) {
    const named = strays.slice(0, MOST_NAMED).map(({ name }) => name)
    findings.push({
      code: 'search-path',
      severity: 'warning',
      message: `${ownSchema(engine)} holds what is not kretes' own: ${named.join(', ')}${strays.length > MOST_NAMED ? ' and more' : ''}`,
      remedy: `Move it: ${strays
        .slice(0, MOST_NAMED)
        .map(({ statement }) => statement)
        .join('; ')}`
    })
  }
  return findings
}

function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

async function examineVacuum(sql: Sql, schema: string, limits: Limits): Promise<Finding[]> {
  const table = `${schema}._private_jobs`
  const server = await readServer(sql)
  const { dead, live, hasAutovacuum, vacuumedMsAgo } = await readJobTable(sql, schema)
  const findings: Finding[] = []
  if (!server.hasAutovacuum || !hasAutovacuum) {
    const [where, remedy] = server.hasAutovacuum
      ? [`for the table ${table}`, `alter table ${table} reset (autovacuum_enabled)`]
      : ['on the whole server', 'alter system set autovacuum = on; select pg_reload_conf()']
    const message = `Autovacuum is off ${where}: the rows of jobs that are done stay, and fetching gets slower with each`
    findings.push({ code: 'autovacuum-off', severity: 'error', message, remedy })
  }
  const isKeepingUp = vacuumedMsAgo !== null && vacuumedMsAgo < RECENT_MS
  if (dead > limits.deadRows && dead > 2 * live && !isKeepingUp) {
    const age = vacuumedMsAgo === null ? 'it was never vacuumed' : `its last vacuum was ${lengthOf(vacuumedMsAgo)} ago`
    const message = `The table of jobs has ${counted(dead, 'dead row')} to ${live.toLocaleString('en')} live ones, and ${age}`
    const remedy = `vacuum ${table}. If that frees nothing, something holds it back: see the other findings`
    findings.push({ code: 'bloat', severity: 'warning', message, remedy })
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
    'The replication slot that nobody uses,',
    "Let its reader come back, or drop it: select pg_drop_replication_slot('#')"
  ],
  prepared: ['prepared-transaction', 'The prepared transaction', "End it: rollback prepared '#'"]
}

const MOST_NAMED = 20

/** A table that is vacuumed as often as this is looked after, however many dead rows it has just now. */
const RECENT_MS = 10 * 60_000
