/** The version of this package; all packages of the project carry the same one. */
export const version = '0.1.0'
