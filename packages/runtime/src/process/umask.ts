/**
 * Sets the umask to 077, so that nothing is ever open to others for a moment before its mode is set; modes are then explicit everywhere.
 *
 * @returns what to tell the operator if the umask was more permissive than SPIRE's 0027; undefined if not
 */
export function tightenUmask(): string | undefined {
  const before = process.umask(0o077)
  const octal = (mask: number) => mask.toString(8).padStart(4, '0')
  return (before & 0o027) === 0o027
    ? undefined
    : `Current umask ${octal(before)} is too permissive; setting umask ${octal(0o077)}`
}
