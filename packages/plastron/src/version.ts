/** The version of these executables; the build and the packages' manifests carry the same one (a test compares them). */
export const version = '0.1.0'
