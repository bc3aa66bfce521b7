import type { Group } from '../../command.ts'
import { change } from './change.ts'
import { importCrontab } from './import.ts'
import { list, listAlone } from './list.ts'
import { preview } from './preview.ts'
import { run } from './run.ts'
import { set } from './set.ts'
import { show } from './show.ts'

/** `kretes background cron`: the commands for recurring jobs. */
export const cron: Group = {
  name: 'cron',
  summary: 'List, set and pause recurring jobs',
  commands: [
    listAlone,
    list,
    show,
    preview,
    set,
    change('pause', 'Pause a recurring job: its occurrences schedule nothing until resume', 'Paused'),
    change('resume', 'Let a paused job recur again', 'Resumed'),
    run,
    change('remove', 'Remove a recurring job; its jobs that wait or run stay', 'Removed'),
    change('reset', 'Take back changes to a recurring job that code declares', 'Reset'),
    importCrontab
  ]
}
