import { existsSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TaskFile } from './discover.ts'

interface LoadError {
  readonly name: string
  readonly message: string
  readonly code?: unknown
  readonly url?: unknown
}

/** Advises how to load a file that Node cannot load without tsx; `undefined` if no remedy is known. */
export function adviceFor(error: LoadError, file: TaskFile): string | undefined {
  switch (error.code) {
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX':
      return `Node only strips types; for all of TypeScript, ${INSTALL_TSX}`
    case 'ERR_UNKNOWN_FILE_EXTENSION':
      return /\.[jt]sx?"/.test(error.message) ? `to load it in Node, ${INSTALL_TSX}` : undefined
    case 'ERR_UNSUPPORTED_DIR_IMPORT':
      return `write out the file, or ${INSTALL_TSX}`
    case 'ERR_PACKAGE_IMPORT_NOT_DEFINED':
      return `for path aliases of tsconfig.json, ${INSTALL_TSX}`
    case 'ERR_MODULE_NOT_FOUND':
      return adviceForMissing(error)
    case undefined:
      return error.name === 'SyntaxError' ? adviceForSyntax(error.message, file) : undefined
  }
}

function adviceForMissing(error: LoadError): string | undefined {
  const name = MISSING_PACKAGE.exec(error.message)?.[1]
  if (name && PACKAGE_NAME.test(name)) return `install it, or, if it is a path alias of tsconfig.json, ${INSTALL_TSX}`
  if (name) return `for path aliases of tsconfig.json, ${INSTALL_TSX}`
  if (typeof error.url !== 'string' || !error.url.startsWith('file:')) return
  const path = fileURLToPath(error.url)
  const stem = path.replace(/\.[cm]?jsx?$/, '')
  if (SOURCES.some(ending => existsSync(stem + ending))) return `write the import with its extension, or ${INSTALL_TSX}`
}

/** For syntax that type stripping keeps and JavaScript refuses. The error has no code, and often no place. */
function adviceForSyntax(message: string, file: TaskFile): string | undefined {
  if (message.includes('does not provide an export named')) return 'a type needs `import type`'
  if (/import statement outside a module|Unexpected token 'export'/.test(message)) {
    return `set "type": "module" in package.json${/^\.[jt]s$/.test(extname(file.path)) ? `, or end its name in .m${extname(file.path).slice(1)}` : ''}`
  }
  if (/\.m?ts$/.test(file.path)) return `if it uses decorators, ${INSTALL_TSX}`
}

const INSTALL_TSX = 'npm install tsx'

const MISSING_PACKAGE = /^Cannot find package '([^']+)'/

const PACKAGE_NAME = /^(?:@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]*$/i

const SOURCES = ['.ts', '.tsx', '.mts', '.js', '.jsx', '.mjs', '/index.ts', '/index.tsx', '/index.js']
