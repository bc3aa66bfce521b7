import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Generates the client of Prisma into a directory below a project. Prisma insists on an engine for migrations, which it
 * then leaves alone: any file will do.
 */
export async function generatePrismaClient(project: string, output: string, model: string): Promise<void> {
  await mkdir(join(project, 'prisma'))
  const schema = join(project, 'prisma/schema.prisma')
  await writeFile(
    schema,
    `generator client {
  provider               = "prisma-client"
  output                 = "../${output}"
  runtime                = "nodejs"
  moduleFormat           = "esm"
  generatedFileExtension = "ts"
  importFileExtension    = "ts"
}
datasource db {
  provider = "postgresql"
}
${model}
`
  )
  await run(process.execPath, [join(root, 'node_modules/prisma/build/index.js'), 'generate', '--schema', schema], {
    cwd: project,
    env: {
      ...process.env,
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      PRISMA_HIDE_UPDATE_MESSAGE: '1',
      CHECKPOINT_DISABLE: '1'
    }
  })
}
