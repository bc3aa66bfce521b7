/** Which layer may import which; `npm run check` holds the code to it. */
const CLIENT = '(background|client|default|transaction)\\.ts$'
const ROOMS = 'database|enqueue|manage|results|diagnose|ledger|worker'

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
      from: { path: '^src/([^/]+\\.ts$|(rules|check|text|redact|async)/)', pathNot: `^src/${CLIENT}` },
      to: { path: `^src/(sql|${ROOMS})/`, dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'sql-is-a-leaf',
      severity: 'error',
      comment: 'Statements know no layer above them; they may share its types',
      from: { path: '^src/sql/' },
      to: { path: `^src/(${ROOMS})/`, dependencyTypesNot: ['type-only'] }
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
      comment: 'graphile-worker is touched by the runner and the migration alone',
      from: { path: '^(src|cli)/|^mod\\.ts$', pathNot: '^src/(worker/runner|database/migrate)\\.ts$' },
      to: { path: 'graphile-worker' }
    },
    {
      name: 'engine-on-demand',
      severity: 'error',
      comment: 'The migration loads graphile-worker only when there is something to migrate',
      from: { path: '^src/database/migrate\\.ts$' },
      to: { path: 'graphile-worker', dynamic: false, dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'pg-in-the-worker',
      severity: 'error',
      comment: 'pg serves the engine; all else speaks through postgres',
      from: { path: '^(src|cli)/|^mod\\.ts$', pathNot: '^src/worker/' },
      to: { path: 'node_modules/(@types/)?pg/' }
    },
    {
      name: 'no-development-dependencies',
      severity: 'error',
      comment: 'What is shipped imports only what is installed with it',
      from: { path: '^(src|cli)/|^mod\\.ts$' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] }
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
