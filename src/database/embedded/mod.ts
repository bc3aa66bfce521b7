/**
 * A PostgreSQL server that lives in a directory: created on first use, shared by all processes that open it, and stopped
 * after its last user. This module is the only way in, and the code behind it uses nothing else of kretes.
 */
export { EmbeddedError, NotInstalledError } from './error.ts'
export { type EmbeddedServer, findServer, hasData, type OpenOptions, openServer, stopServer } from './server.ts'
