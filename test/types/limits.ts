/** Compiled by `npm run check`, never run: what limits a task may have. */
import { Background, defineTask, Limit, type LimitState, type StandardSchema } from 'kretes'

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
// @ts-expect-error the number is missing
defineTask({ name: 'Charge', limit: {}, run })
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

export async function control(): Promise<void> {
  const limits: readonly LimitState[] = await Background.limits.list()
  const { used, oldestMs }: LimitState = await Background.limits.set({ limit: stripe, concurrency: 5 })
  void [limits, used satisfies number, oldestMs satisfies number | null]
  await Background.limits.set({ limit: 'stripe', concurrency: 5 })
  await Background.limits.set({
    task: defineTask({ name: 'Charge', limit: stripe, run }),
    perKey: true,
    concurrency: 5
  })
  await Background.limits.reset({ task: 'Charge' })
  // @ts-expect-error it says to what
  await Background.limits.set({ limit: stripe })
  // @ts-expect-error there is no such option
  await Background.limits.reset({ queue: 'one' })
}
