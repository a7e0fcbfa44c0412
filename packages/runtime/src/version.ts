/** The version of the executables and of all packages; their manifests carry the same one (a test compares them). */
export const version = '0.1.0'
