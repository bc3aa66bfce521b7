import type { CAC, Command } from 'cac'
import manifest from '../package.json' with { type: 'json' }
import { nameOf, usageOf } from './input/command-line.ts'

/** A section of a help text, as cac defines it. */
interface Section {
  title?: string
  body: string
}

/** Adds the options `--help` and `--version` to a program, and help texts in one form. */
export function addHelp(cli: CAC, title: string): CAC {
  cli.help(() => toSections(cli, title))
  // cac's own `version()` does not work below a command.
  return cli.option('-v, --version', 'Print the version')
}

/** The output of `--version`, the same for every command. */
export function versionLine(): string {
  const { bun, deno, node } = process.versions
  const runtime = bun ? `bun ${bun}` : deno ? `deno ${deno}` : `node ${node}`
  return `kretes ${manifest.version} (${runtime}, ${process.platform} ${process.arch})`
}

function toSections(cli: CAC, title: string): Section[] {
  const command = cli.matchedCommand
  const isTop = !command || command.name === ''
  const usage = command ? [usageOf(command)] : []
  if (isTop) usage.push(`${cli.name} <command> [options]`)
  const options = [...(command?.options ?? []), ...cli.globalCommand.options]
  const examples = (command ?? cli.globalCommand).examples.map(example =>
    typeof example === 'function' ? example(cli.name) : example
  )
  const sections: Section[] = [
    { body: isTop ? title : command.description },
    { title: 'Usage', body: usage.map(line => `  $ ${line}`).join('\n') }
  ]
  if (isTop) sections.push({ title: 'Commands', body: columns(cli.commands.map(toRow)) })
  sections.push({ title: 'Options', body: columns(options.map(toOptionRow)) })
  if (examples.length > 0) sections.push({ title: 'Examples', body: examples.join('\n') })
  return sections
}

function toRow(command: Command): [string, string] {
  return [`${nameOf(command)}${command.rawName.slice(command.name.length)}`, command.description]
}

function toOptionRow({ rawName, description }: Command['options'][number]): [string, string] {
  if (rawName === '-h, --help') return [rawName, 'Print this text']
  return [rawName.startsWith('--') ? `    ${rawName}` : rawName, description]
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join('\n')
}
