/**
 * Writes the tables of keys in docs/configuration.md from the schemas that the programs read their files with: `node scripts/configuration-page.ts`.
 * A test finds out whether the committed page is current.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { agentConfigDocument } from '@plastron/agent'
import { type SchemaDocument, schemaRows } from '@plastron/runtime/config'
import { serverConfigDocument } from '@plastron/server'

const page = join(import.meta.dirname, '../docs/configuration.md')

/** The page with its tables made anew. */
export function configurationPage(text: string): string {
  const tables: Readonly<Record<string, string>> = {
    'server.conf': tableOf(serverConfigDocument),
    'agent.conf': tableOf(agentConfigDocument),
    'server.conf not built': notBuilt(serverConfigDocument),
    'agent.conf not built': notBuilt(agentConfigDocument),
  }
  return text.replace(
    /(<!-- keys of (.+?) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => `${begin}\n${tables[name] ?? ''}\n${end}`,
  )
}

function tableOf(document: SchemaDocument): string {
  const rows = schemaRows(document)
    .filter(({ built }) => built)
    .map(({ key, kind, defaultText, description }) => [`\`${key}\``, kind, code(defaultText), description])
  return table([['Key', 'Value', 'Default', 'What it does'], ...rows])
}

/** A table as the formatter leaves it: columns of one width. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |\n`
  const [head = [], ...body] = rows
  return [head, widths.map(width => '-'.repeat(width)), ...body].map(line).join('')
}

function notBuilt(document: SchemaDocument): string {
  const keys = schemaRows(document)
    .filter(({ built }) => !built)
    .map(({ key }) => `\`${key}\``)
  const plugins = Object.entries(document.plugins)
    .filter(({ 1: rules }) => rules.notBuilt.length > 0)
    .map(([type, rules]) => `- ${type}: ${rules.notBuilt.map(name => `\`${name}\``).join(', ')}\n`)
  return `Keys: ${keys.join(', ')}.\n\nPlugins:\n\n${plugins.join('')}`
}

/** Values in code style; what is said in words stays words. */
function code(text: string): string {
  return /^(".*"|\[\]|\{\}|true|false|-?\d+[a-z0-9]*)$/.test(text) ? `\`${text}\`` : text
}

if (process.argv[1] === import.meta.filename) writeFileSync(page, configurationPage(readFileSync(page, 'utf8')))
