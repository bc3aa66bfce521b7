/** Compiled by `npm run check`, never run: what limits a task may have. */
import {
  Background,
  defineTask,
  Limit,
  type LimitOptions,
  type LimitState,
  Queue,
  type Rate,
  RateLimited,
  Snooze,
  type StandardSchema
} from 'kretes'

const run = async (): Promise<void> => {}

defineTask({ name: 'Charge', limit: { concurrency: 5 }, run })
defineTask({
  name: 'Charge',
  limit: { concurrency: 1, per: ({ customer }) => customer },
  run: async (input: { customer: number }) => input.customer
})
defineTask({
  name: 'Charge',
  limit: [{ concurrency: 3 }, { concurrency: 1, per: ({ customer }) => customer.id }],
  run: async (input: { customer: { id: string } }) => input.customer.id
})
for (const key of ['a', 1, 1n, true, null] as const)
  defineTask({ name: 'Charge', limit: { concurrency: 1, per: () => key }, run })
defineTask({
  name: 'Charge',
  // @ts-expect-error the payload has no such property
  limit: { concurrency: 1, per: ({ shop }) => shop },
  run: async (input: { customer: number }) => input
})
// @ts-expect-error an object is no key
defineTask({ name: 'Charge', limit: { concurrency: 1, per: () => ({}) }, run })
// @ts-expect-error a key is there at once
defineTask({ name: 'Charge', limit: { concurrency: 1, per: async () => 1 }, run })
// @ts-expect-error a key is not undefined
defineTask({ name: 'Charge', limit: { concurrency: 1, per: () => undefined }, run })
// @ts-expect-error it has neither a concurrency nor a rate
defineTask({ name: 'Charge', limit: {}, run })
// @ts-expect-error a key alone is no limit
defineTask({ name: 'Charge', limit: { per: () => 1 }, run })
// @ts-expect-error one of the two has neither
defineTask({ name: 'Charge', limit: [{ concurrency: 1 }, { per: () => 1 }], run })
// @ts-expect-error there is no such option
defineTask({ name: 'Charge', limit: { concurrency: 1, most: 5 }, run })
// @ts-expect-error a limit is an object
defineTask({ name: 'Charge', limit: 5, run })

// With a schema, a key is made from what callers pass.
declare const schema: StandardSchema<{ at: string }, { at: Date }>
defineTask({
  name: 'Parsing',
  schema,
  limit: { concurrency: 1, per: ({ at }) => at.toUpperCase() },
  run: ({ at }) => at.getTime()
})
defineTask({
  name: 'Parsing',
  schema,
  // @ts-expect-error it is a text there
  limit: { concurrency: 1, per: ({ at }) => at.getTime() },
  run: ({ at }) => at.getTime()
})

const stripe = Limit.for('stripe', { concurrency: 20 })
defineTask({ name: 'ChargeCard', limit: stripe, run: async (input: { card: string }) => input.card })
defineTask({
  name: 'RefundCard',
  limit: [stripe, { concurrency: 1 }],
  run: async (input: { amount: number }) => input.amount
})
const shop = Limit.for('shop', { concurrency: 2, per: (payload: { shop: number }) => payload.shop })
defineTask({ name: 'SyncShop', limit: shop, run: async (input: { shop: number; at: string }) => input.at })
defineTask({
  name: 'CloseShop',
  limit: { ...shop, per: (payload: { shopId: number }) => payload.shopId },
  run: async (input: { shopId: number }) => input.shopId
})
// @ts-expect-error its payload has no shop
defineTask({ name: 'SyncUser', limit: shop, run: async (input: { user: number }) => input.user })
// @ts-expect-error a limit has a name
Limit.for({ concurrency: 1 })
// @ts-expect-error it cannot be changed
stripe.concurrency = 5

// A rate, alone or beside a concurrency.
for (const rate of ['100/min', '10/30s', '5000/day', '1/2 days'] as const) {
  defineTask({ name: 'Charge', limit: { rate }, run })
  defineTask({ name: 'Charge', limit: { concurrency: 5, rate }, run })
  Limit.for('stripe', { rate }).rate satisfies Rate | undefined
}
defineTask({
  name: 'Charge',
  limit: [Limit.for('stripe', { rate: '90/s' }), { rate: '2/s', per: ({ customer }) => customer }],
  run: async (input: { customer: number }) => input.customer
})
export const options: readonly LimitOptions[] = [{ rate: '5/s' }, { concurrency: 5 }, { concurrency: 5, rate: '5/s' }]
defineTask({
  name: 'Charge',
  // @ts-expect-error the payload has no such property
  limit: { rate: '5/s', per: ({ shop }) => shop },
  run: async (input: { customer: number }) => input
})
// @ts-expect-error a rate has a period
defineTask({ name: 'Charge', limit: { rate: '100' }, run })
// @ts-expect-error a rate is a text
defineTask({ name: 'Charge', limit: { rate: 100 }, run })
// @ts-expect-error a rate begins with a number
defineTask({ name: 'Charge', limit: { rate: 'many/min' }, run })
// @ts-expect-error any text may be no rate
Limit.for('stripe', { rate: '5/s' as string })
// @ts-expect-error it has neither a concurrency nor a rate
Limit.for('stripe', {})
// @ts-expect-error it cannot be changed
stripe.rate = '5/s'

// A task says that its limit is held.
export const held: readonly Snooze[] = [
  new RateLimited('30s'),
  new RateLimited(30_000, {}),
  new RateLimited({ seconds: 30 }, { limit: 'stripe' }),
  new RateLimited({ until: new Date() }, { limit: stripe }),
  new RateLimited({ until: '2031-05-06T07:08:09Z' }, { limit: shop })
]
new RateLimited('30s').limit satisfies string | undefined
new RateLimited('30s').name satisfies string
// @ts-expect-error it says for how long
new RateLimited()
// @ts-expect-error a limit without a name is the task's own
new RateLimited('30s', { limit: { rate: '5/s' } })
// @ts-expect-error there is no such option
new RateLimited('30s', { key: 'a' })
// @ts-expect-error a Snooze holds no limit
new Snooze('30s', { limit: 'stripe' })

export async function control(): Promise<void> {
  const limits: readonly LimitState[] = await Background.limits.list()
  const { used, oldestMs }: LimitState = await Background.limits.set({ limit: stripe, concurrency: 5 })
  void [limits, used satisfies number, oldestMs satisfies number | null]
  await Background.limits.set({ limit: 'stripe', concurrency: 5 })
  await Background.limits.set({ limit: 'stripe', rate: '5/s' })
  const both: LimitState = await Background.limits.set({ limit: stripe, concurrency: 5, rate: '5/s' })
  both.concurrency satisfies number | null
  both.rate satisfies Rate | null
  both.declaredConcurrency satisfies number | null
  both.declaredRate satisfies Rate | null
  both.heldUntil satisfies Date | null
  both.begun satisfies number | null
  // What is listed can be set.
  if (both.rate) await Background.limits.set({ limit: both.name, rate: both.rate })
  // @ts-expect-error it may be null
  both.concurrency satisfies number
  // @ts-expect-error it has another name
  both.declared
  await Background.limits.set({
    task: defineTask({ name: 'Charge', limit: stripe, run }),
    perKey: true,
    concurrency: 5
  })
  await Background.limits.reset({ task: 'Charge' })
  // @ts-expect-error it says to what
  await Background.limits.set({ limit: stripe })
  // @ts-expect-error a rate has a period
  await Background.limits.set({ limit: stripe, rate: '5' })
  // @ts-expect-error a reset says nothing of the rate
  await Background.limits.reset({ limit: stripe, rate: '5/s' })
  await Background.limits.reset({ queue: Queue.for('crm', { concurrency: 3 }) })
  // @ts-expect-error a queue has a name
  await Background.limits.reset({ queue: 1 })
}
