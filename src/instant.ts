/** Whether the day of a time in ISO 8601 is in the calendar: JavaScript makes 2 March of 30 February. */
export function isRealDay(text: string): boolean {
  const [, year, month, day] = /^([+-]?\d{4,6})-(\d\d)-(\d\d)/.exec(text) ?? []
  if (day === undefined) return true
  return new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day)
}
