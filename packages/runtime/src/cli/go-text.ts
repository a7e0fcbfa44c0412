// How Go programs print times and durations: scripts written for SPIRE's command lines read these texts.

const pad = (value: number, width = 2): string => String(value).padStart(width, '0')

/** `2026-11-23 01:02:06 +0000 UTC`, as Go prints a time in UTC; fractions of a second are dropped. */
export function goUtcTime(date: Date): string {
  return `${utcDay(date)} ${utcClock(date)} +0000 UTC`
}

/** `2026-11-23 03:02:06 +0200 CEST`, as Go prints a time in the local zone (`TZ`). */
export function goLocalTime(date: Date): string {
  const minutesEast = -date.getTimezoneOffset()
  const sign = minutesEast < 0 ? '-' : '+'
  const offset = `${sign}${pad(Math.floor(Math.abs(minutesEast) / 60))}${pad(Math.abs(minutesEast) % 60)}`
  const zone =
    new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' })
      .formatToParts(date)
      .find(part => part.type === 'timeZoneName')?.value ?? offset
  const day = `${pad(date.getFullYear(), 4)}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`
  return `${day} ${clock} ${offset} ${zone}`
}

/** `2026-11-23T01:02:06Z`: RFC 3339 in UTC without fractions. */
export function rfc3339(date: Date): string {
  return `${utcDay(date)}T${utcClock(date)}Z`
}

function utcDay(date: Date): string {
  return `${pad(date.getUTCFullYear(), 4)}-${pad(date.getUTCMonth() + 1)}-${pad(date.getUTCDate())}`
}

function utcClock(date: Date): string {
  return `${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}:${pad(date.getUTCSeconds())}`
}

/** `4m48s`, `1h0m0s`, `4.868638ms`, `0s`: a duration as Go prints it. */
export function goDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0s'
  const sign = milliseconds < 0 ? '-' : ''
  const total = Math.abs(milliseconds)
  if (total < 0.001) return `${sign}${Math.round(total * 1e6)}ns`
  if (total < 1) return `${sign}${trimmed(total * 1000, 3)}µs`
  if (total < 1000) return `${sign}${trimmed(total, 6)}ms`
  const hours = Math.floor(total / 3_600_000)
  const minutes = Math.floor((total % 3_600_000) / 60_000)
  const seconds = trimmed((total % 60_000) / 1000, 9)
  return `${sign}${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`
}

function trimmed(value: number, digits: number): string {
  return value.toFixed(digits).replace(/\.?0+$/, '')
}

/** `1 bundle`, `2 bundles`. */
export function counted(count: number, singular: string, plural: string): string {
  return `${count} ${count === 1 ? singular : plural}`
}
