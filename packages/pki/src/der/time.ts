import { PkiError } from '../errors.ts'

/** Reads the content of a UTCTime (`YYMMDDHHMMSSZ`) or GeneralizedTime (`YYYYMMDDHHMMSSZ`), RFC 5280 "Validity". */
export function decodeTime(content: Uint8Array, utc: boolean, offset = 0): Date {
  const yearDigits = utc ? 2 : 4
  const length = yearDigits + 11
  const refused = (): PkiError =>
    new PkiError(
      'ERR_PKI_DER',
      `${utc ? 'UTCTime' : 'GeneralizedTime'} at offset ${offset} is not a time ending in seconds and Z`,
    )
  if (content.length !== length || content[length - 1] !== 0x5a) throw refused()
  const number = (at: number, digits: number): number => {
    let value = 0
    for (let i = at; i < at + digits; i++) {
      const digit = (content[i] as number) - 0x30
      if (digit < 0 || digit > 9) throw refused()
      value = value * 10 + digit
    }
    return value
  }
  const shortYear = number(0, yearDigits)
  const year = utc ? shortYear + (shortYear < 50 ? 2000 : 1900) : shortYear
  const month = number(yearDigits, 2)
  const day = number(yearDigits + 2, 2)
  const hour = number(yearDigits + 4, 2)
  const minute = number(yearDigits + 6, 2)
  const second = number(yearDigits + 8, 2)
  if (month < 1 || day < 1 || hour > 23 || minute > 59 || second > 59) throw refused()
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) throw refused()
  date.setUTCHours(hour, minute, second)
  return date
}

/** True if RFC 5280 wants this time as UTCTime: years 1950 to 2049. */
export function isUtcTime(time: Date): boolean {
  const year = time.getUTCFullYear()
  return year >= 1950 && year < 2050
}

/**
 * The content octets of a time, as UTCTime where {@link isUtcTime} says so and GeneralizedTime otherwise. Milliseconds are cut off.
 * @throws {@link PkiError} `ERR_PKI_DER` outside the years 0000 to 9999 or for an invalid date.
 */
export function encodeTime(time: Date): Uint8Array {
  const year = time.getUTCFullYear()
  if (!(year >= 0 && year <= 9999))
    throw new PkiError('ERR_PKI_DER', 'a time outside the years 0000 to 9999 has no encoding')
  const octets = new Uint8Array(isUtcTime(time) ? 13 : 15)
  let at = octets.length - 1
  octets[at] = 0x5a
  const put = (value: number): void => {
    octets[--at] = 0x30 + (value % 10)
    octets[--at] = 0x30 + Math.floor(value / 10)
  }
  put(time.getUTCSeconds())
  put(time.getUTCMinutes())
  put(time.getUTCHours())
  put(time.getUTCDate())
  put(time.getUTCMonth() + 1)
  put(year % 100)
  if (at > 0) put(Math.floor(year / 100))
  return octets
}
