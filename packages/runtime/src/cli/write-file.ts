/**
 * Replaces a file so that after a crash at any moment the old or the new content is there, whole. Loads what does so when it is called: few commands
 * write files, and each command loads this module.
 *
 * @param mode 0600 by default
 */
export async function writeFileDurably(path: string, content: string | Uint8Array, mode?: number): Promise<void> {
  const durable = await import('../data-folder/durable-file.ts')
  await durable.writeFileDurably(path, content, mode)
}
