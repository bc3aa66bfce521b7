import { median, ratio } from './statistics.ts'

/** What stands side by side everywhere. `tuned` is graphile-worker with a local queue of 50 and batched completion. */
export const systems = ['kretes', 'defaults', 'tuned'] as const

/** What else is compared where it can do the same. */
export const peers = ['pgboss', 'bullmq', 'bullmqPostgres'] as const

/** One of {@linkcode peers}. */
export type Peer = (typeof peers)[number]

/** What is measured. */
export type System = (typeof systems)[number] | Peer

/** A line of the table: one figure of each system, once per round. */
export interface Row {
  label: string
  unit: string
  better: 'higher' | 'lower'
  samples: Partial<Record<System, number[]>>
}

/** Something the figures must hold. */
export interface Demand {
  label: string
  value: number
  atLeast?: number
  atMost?: number
}

/** What a measure found. */
export interface Finding {
  rows: Row[]
  demands?: Demand[]
}

/** The whole run, for machines. */
export interface Report {
  facts: Record<string, string | number | boolean>
  findings: Record<string, Finding>
}

/** Whether a demand holds. */
export function isMet({
  value,
  atLeast = Number.NEGATIVE_INFINITY,
  atMost = Number.POSITIVE_INFINITY
}: Demand): boolean {
  return value >= atLeast && value <= atMost
}

/** The report for a person: a table, or one for each choice of systems, and what the figures must hold below. */
export function toText({ findings }: Report): string {
  const all = Object.values(findings)
  const demands = all.flatMap(measuredDemands)
  const text = toTables(all)
  if (demands.length > 0) text.push(align(demands.map(toVerdict), 1))
  return text.join('\n\n')
}

/** The report with medians and ratios beside the samples. */
export function toJson({ facts, findings }: Report): string {
  const measures = Object.entries(findings).map(([name, finding]) => ({
    name,
    rows: finding.rows.map(row => ({
      ...row,
      median: mapSamples(row, values => round(median(values))),
      kretesTo: mapSamples(row, values => round(ratio(row.samples.kretes ?? [], values)))
    })),
    demands: measuredDemands(finding).map(demand => ({ ...demand, value: round(demand.value), isMet: isMet(demand) }))
  }))
  return `${JSON.stringify({ facts, measures }, undefined, 2)}\n`
}

const TITLES: Readonly<Record<System, readonly [name: string, variant: string]>> = {
  kretes: ['kretes', ''],
  defaults: ['graphile-worker', 'defaults'],
  tuned: ['graphile-worker', 'tuned'],
  pgboss: ['pg-boss', ''],
  bullmq: ['BullMQ', 'Redis'],
  bullmqPostgres: ['BullMQ', 'PostgreSQL']
}

/** Findings one after another that compare the same systems share a table. */
function toTables(findings: readonly Finding[]): string[] {
  const tables: { columns: readonly System[]; lines: string[][] }[] = []
  for (const finding of findings) {
    const columns = columnsOf(finding)
    const lines = finding.rows.map(row => toCells(row, columns))
    const last = tables.at(-1)
    if (last && String(last.columns) === String(columns)) last.lines.push([], ...lines)
    else tables.push({ columns, lines })
  }
  return tables.map(({ columns, lines }) => {
    const header = [0, 1].map(line => ['', '', ...columns.map(system => TITLES[system][line] ?? '')])
    return align([...header, [], ...lines])
  })
}

function columnsOf({ rows }: Finding): System[] {
  return [...systems, ...peers].filter(system => rows.some(({ samples }) => samples[system]))
}

/** Beside each figure of another system: how the figure of kretes relates to it. */
function toCells({ label, unit, better, samples }: Row, columns: readonly System[]): string[] {
  const figures = columns.map(system => {
    const figure = format(median(samples[system] ?? []))
    if (system === 'kretes') return figure
    return `${figure} (${format(ratio(samples.kretes ?? [], samples[system] ?? []))}×)`.replace('– (–×)', '–')
  })
  return [label, `${unit} ${better === 'higher' ? '↑' : '↓'}`, ...figures]
}

function mapSamples<Value>({ samples }: Row, map: (values: number[]) => Value): Record<string, Value> {
  return Object.fromEntries(Object.entries(samples).map(([system, values]) => [system, map(values)]))
}

function toVerdict(demand: Demand): string[] {
  const { label, value, atLeast, atMost } = demand
  const bound = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`
  return [isMet(demand) ? 'met   ' : 'MISSED', label, format(value), `(${bound})`]
}

/** What the system does not tell cannot be missed. */
function measuredDemands({ demands = [] }: Finding): Demand[] {
  return demands.filter(({ value }) => !Number.isNaN(value))
}

function format(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

function round(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(4)) : null
}

/** Pads columns; the first `left` + 1 of them to the left. */
function align(lines: readonly (readonly string[])[], left = 1): string {
  const widths: number[] = []
  for (const line of lines) {
    for (const [column, cell] of line.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  }
  const pad = (cell: string, column: number): string =>
    column <= left ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
  return lines.map(line => line.map(pad).join('  ').trimEnd()).join('\n')
}
