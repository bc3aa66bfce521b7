import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { PrismaPg } from '@prisma/adapter-pg'
import type { ForeignTransaction } from '../../src/enqueue/adapters.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { generatePrismaClient } from '../helpers/prisma.ts'
import { suite } from '../helpers/suite.ts'
import { testTransactions } from './contract.ts'
import type { Client, Transaction } from './library.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const types = suite("the types of Prisma's generated client")

const directory = await generateClient()
const { PrismaClient } = (await import(pathToFileURL(join(directory, 'client/client.ts')).href)) as Generated

await testTransactions({
  name: 'Prisma',
  open(url) {
    const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url, max: 4 }) })
    return toClient(prisma, prisma)
  }
})

await testTransactions({
  name: 'Prisma, extended',
  open(url) {
    const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url, max: 4 }) })
    return toClient(prisma.$extends({ name: 'nothing', query: {} }), prisma)
  }
})

types('are taken without a cast', async () => {
  const app = join(directory, 'app.ts')
  await writeFile(
    app,
    `import { PrismaPg } from '@prisma/adapter-pg'
import { Background } from 'kretes'
import { type Prisma, PrismaClient } from './client/client.ts'

const prisma = new PrismaClient({ adapter: new PrismaPg({}) })
await prisma.$transaction(async transaction => {
  await transaction.order.create({ data: { note: 'one' } })
  await Background.with(transaction).schedule({ task: 'SendEmail' })
})
await prisma.$extends({ name: 'extended' }).$transaction(async transaction => {
  await Background.with(transaction).schedule({ task: 'SendEmail' })
})
export const inFunction = (transaction: Prisma.TransactionClient) => Background.with(transaction)
// @ts-expect-error: neither a transaction nor anything that has some
Background.with(prisma.order)
`
  )
  const config = { extends: join(root, 'tsconfig.json'), include: ['app.ts'] }
  await writeFile(
    join(directory, 'tsconfig.json'),
    JSON.stringify({ ...config, compilerOptions: { paths: { kretes: [join(root, 'mod.ts')] } } })
  )
  await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', directory]).catch(error => {
    throw new Error(error.stdout)
  })
})

/** As much of the generated client as is used here; the real types are compiled above. */
interface Generated {
  PrismaClient: new (options: {
    adapter: PrismaPg
  }) => Prisma & {
    $extends(extension: object): Prisma
    $disconnect(): Promise<void>
  }
}

interface Prisma {
  $transaction(work: (handle: Handed) => Promise<unknown>, options: { maxWait: number }): Promise<unknown>
  $queryRawUnsafe(text: string): Promise<unknown>
}

interface Handed extends Prisma {
  $executeRawUnsafe(text: string): Promise<unknown>
}

function toClient(prisma: Prisma, base: { $disconnect(): Promise<void> } & ForeignTransaction): Client {
  return {
    transact: work => prisma.$transaction(handle => work(toTransaction(handle)), patience()),
    pools: [prisma, base],
    close: () => base.$disconnect()
  }
}

/** On a busy machine a connection may be slow to come. Made anew, for a nested transaction is written into it. */
const patience = () => ({ maxWait: 30_000, timeout: 60_000 })

function toTransaction(handle: Handed): Transaction {
  return {
    handle,
    run: text => handle.$executeRawUnsafe(text),
    nest: work => handle.$transaction(inner => work(toTransaction(inner)), patience())
  }
}

async function generateClient(): Promise<string> {
  const generated = await mkdtemp(join(tmpdir(), 'kretes-prisma-'))
  onceDone(() => rm(generated, { recursive: true, force: true }))
  await symlink(join(root, 'node_modules'), join(generated, 'node_modules'))
  await writeFile(join(generated, 'package.json'), '{ "type": "module" }')
  await generatePrismaClient(
    generated,
    'client',
    'model Order {\n  id   Int @id @default(autoincrement())\n  note String\n}'
  )
  return generated
}
