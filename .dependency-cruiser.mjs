/** The embedded database and its statements. */
const EMBEDDED = '^src/(database/embedded/|sql/database/embedded\\.ts$)'

/** Which layer may import which; `npm run check` holds the code to it. */
const CLIENT = '(background|client|default|transaction)\\.ts$'
const ROOMS = 'database|enqueue|manage|results|diagnose|ledger|recurring|worker'

export default {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'Imports point downward only',
      from: {},
      to: { circular: true }
    },
    {
      name: 'library-stands-alone',
      severity: 'error',
      comment: 'The library knows nothing of the command line, of example tasks or of tests',
      from: { path: '^(src/|mod\\.ts$)' },
      to: { path: '^(cli|tasks|test|scripts)/' }
    },
    {
      name: 'command-line-stands-alone',
      severity: 'error',
      comment: 'The command line is shipped; examples, tests and scripts are not',
      from: { path: '^cli/' },
      to: { path: '^(tasks|test|scripts)/' }
    },
    {
      name: 'tasks-use-the-public-entry',
      severity: 'error',
      comment: 'Examples are written as a user writes them',
      from: { path: '^tasks/' },
      to: { path: '^(src|cli|test|scripts)/' }
    },
    {
      name: 'core-without-worker',
      severity: 'error',
      comment: 'An application that only schedules never loads the worker',
      from: { path: '^(src/|mod\\.ts$)', pathNot: '^src/worker/' },
      to: { path: '^src/worker/', dynamic: false }
    },
    {
      name: 'rooms-stand-apart',
      severity: 'error',
      comment: 'Only the client, and a transaction, bring these rooms together',
      from: { path: '^src/(enqueue|manage|results|diagnose|ledger)/' },
      to: { path: '^src/(enqueue|manage|results|diagnose|ledger)/', pathNot: '^src/$1/' }
    },
    {
      name: 'client-on-top',
      severity: 'error',
      comment: 'What brings the rooms together is known to none of them',
      from: { path: '^src/', pathNot: `^src/${CLIENT}` },
      to: { path: `^src/${CLIENT}` }
    },
    {
      name: 'nouns-below-rooms',
      severity: 'error',
      comment: 'Types, rules and helpers know no room; they may share the types of statements',
      from: { path: '^src/([^/]+\\.ts$|(rules|check|text|redact|async|cron|limit)/)', pathNot: `^src/${CLIENT}` },
      to: { path: `^src/(sql|${ROOMS})/`, dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'sql-is-a-leaf',
      severity: 'error',
      comment: 'Statements know only the rules above them, and what a job and a run are',
      from: { path: '^src/sql/' },
      to: { pathNot: '^src/(sql/|rules/|job\\.ts$|run\\.ts$)' }
    },
    {
      name: 'sql-shares-types-alone',
      severity: 'error',
      comment: 'Statements know a job and a run by their types',
      from: { path: '^src/sql/' },
      to: { path: '^src/(job|run)\\.ts$', dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'driver-in-one-place',
      severity: 'error',
      comment: 'Statements are text and values; connections carry them out',
      from: { path: '^(src|cli)/|^mod\\.ts$', pathNot: '^src/database/' },
      to: { path: 'node_modules/postgres/', dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'embedded-has-one-door',
      severity: 'error',
      comment: 'The embedded database is entered through its mod.ts',
      from: { pathNot: EMBEDDED },
      to: { path: EMBEDDED, pathNot: '^src/database/embedded/mod\\.ts$' }
    },
    {
      name: 'embedded-has-one-user',
      severity: 'error',
      comment: 'src/database/embedded.ts alone knows the door; it translates paths and errors for kretes',
      from: { pathNot: '^src/database/embedded\\.ts$' },
      to: { path: '^src/database/embedded/mod\\.ts$' }
    },
    {
      name: 'embedded-stands-alone',
      severity: 'error',
      comment:
        'The embedded database knows nothing else of kretes, so that it could be a package; the dialect is a leaf',
      from: { path: EMBEDDED },
      to: { pathNot: `${EMBEDDED}|^src/sql/statement\\.ts$|node_modules/postgres/`, dependencyTypesNot: ['core'] }
    },
    {
      name: 'database-below-rooms',
      severity: 'error',
      comment: 'Connections and migrations know nothing of what they are used for',
      from: { path: '^src/database/' },
      to: { path: `^src/(${ROOMS})/`, pathNot: '^src/database/' }
    },
    {
      name: 'engine-in-two-places',
      severity: 'error',
      comment: 'graphile-worker is touched by the engine room and the migration alone',
      from: { path: '^(src|cli)/|^mod\\.ts$', pathNot: '^src/(worker/engine/|database/migrate\\.ts$)' },
      to: { path: 'graphile-worker' }
    },
    {
      name: 'engine-room-below',
      severity: 'error',
      comment:
        'The engine room knows how to reach the database and how to outlast an outage, and nothing else of the worker',
      from: { path: '^src/worker/engine/' },
      to: { path: '^src/worker/', pathNot: '^src/worker/(engine/|outage\\.ts$)' }
    },
    {
      name: 'engine-on-demand',
      severity: 'error',
      comment: 'The migration loads graphile-worker only when there is something to migrate',
      from: { path: '^src/database/migrate\\.ts$' },
      to: { path: 'graphile-worker', dynamic: false, dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'pg-in-the-engine-room',
      severity: 'error',
      comment: 'pg serves the engine; all else speaks through postgres',
      from: { path: '^(src|cli)/|^mod\\.ts$', pathNot: '^src/worker/engine/' },
      to: { path: 'node_modules/(@types/)?pg/' }
    },
    {
      name: 'no-development-dependencies',
      severity: 'error',
      comment: 'What is shipped imports only what is installed with it',
      from: { path: '^(src|cli)/|^mod\\.ts$' },
      // The build puts the words for cron expressions into a chunk that only the command line loads.
      to: {
        pathNot: 'node_modules/cronstrue/',
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['type-only']
      }
    },
    {
      name: 'everything-resolves',
      severity: 'error',
      comment: 'Only tsx may be absent: a project that needs it brings it',
      from: {},
      to: { couldNotResolve: true, pathNot: '^tsx/' }
    }
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: 'specify',
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'default'] }
  }
}
