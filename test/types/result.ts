/** Compiled by `npm run check`, never run: of what type a result is once it has been JSON. */
import { Background, type JsonOf, type Task } from 'kretes'

class Money {
  readonly cents: number = 1
  format(): string {
    return String(this.cents)
  }
}

interface Report {
  at: Date
  link: URL
  total: Money
  dates: Date[]
  pair: [Date, number]
  either: Date | null
  maybe?: Date
  note: string | undefined
  print: () => void
  [Symbol.iterator]: () => Iterator<string>
  tags: Set<string>
  mixed: (string | undefined)[]
  whatever: unknown
}
declare const Reporting: Task<{ name: string }, Report>

type Equal<One, Other> = (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false
type Demand<Truth extends true> = Truth

/** What each of these becomes. */
export type Simple = [
  Demand<Equal<JsonOf<string>, string>>,
  Demand<Equal<JsonOf<'a' | 1 | true | null>, 'a' | 1 | true | null>>,
  Demand<Equal<JsonOf<void>, undefined>>,
  Demand<Equal<JsonOf<unknown>, unknown>>,
  Demand<Equal<JsonOf<never>, never>>,
  Demand<Equal<JsonOf<Date>, string>>,
  Demand<Equal<JsonOf<bigint>, never>>,
  Demand<Equal<JsonOf<() => void>, never>>,
  Demand<Equal<JsonOf<{ at: Date; by?: string | undefined }[]>, { at: string; by?: string | undefined }[]>>,
  Demand<Equal<JsonOf<Map<string, number>>, Record<string, never>>>
]

export async function results(): Promise<void> {
  const report = await (await Background.schedule({ task: Reporting, payload: { name: 'a' } })).result()
  const at: string = report.at
  const link: string = report.link
  const cents: { cents: number } = report.total
  const dates: string[] = report.dates
  const pair: [string, number] = report.pair
  const either: string | null = report.either
  const maybe: string | undefined = report.maybe
  const note: string | undefined = report.note
  const mixed: (string | null)[] = report.mixed
  const whatever: unknown = report.whatever
  // @ts-expect-error JSON made a text of it
  report.at.toISOString()
  // @ts-expect-error JSON drops methods
  report.total.format()
  // @ts-expect-error and functions
  report.print()
  // @ts-expect-error a set becomes an empty object
  report.tags.has('a')
  console.log(at, link, cents, dates, pair, either, maybe, note, mixed, whatever)
}
