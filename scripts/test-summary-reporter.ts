// A node:test reporter: prints a dot for each test passed, failures in full, and the reason of each skipped test, then one machine-readable line of counts.
import type { TestEvent } from 'node:test/reporters'
import { inspect } from 'node:util'

// node:test loads a reporter by its default export.
// biome-ignore lint/style/noDefaultExport: asked for by node:test
export default async function* summarize(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let passed = 0
  let failed = 0
  let skipped = 0
  for await (const event of source) {
    if (event.type === 'test:pass') {
      if (event.data.details?.type === 'suite') continue
      if (event.data.skip !== undefined && event.data.skip !== false) {
        skipped += 1
        yield `\nskipped: ${event.data.name} (${event.data.skip === true ? 'no reason given' : event.data.skip})\n`
      } else {
        passed += 1
        yield '.'
      }
    } else if (event.type === 'test:fail') {
      const error = event.data.details.error
      if (event.data.details?.type === 'suite' && 'failureType' in error && error.failureType === 'subtestsFailed')
        continue
      failed += 1
      const cause = error.cause ?? error
      yield `\nFAILED ${event.data.file ?? ''}:${event.data.line ?? ''} ${event.data.name}\n${inspect(cause)}\n`
    } else if (event.type === 'test:stderr') {
      yield event.data.message
    }
  }
  yield `\n@@ ${passed} ${failed} ${skipped}\n`
}
