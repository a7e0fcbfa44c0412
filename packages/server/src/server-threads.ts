/** What the program may start before it knows anything of the server that it will run. */
export { startDatastoreThread } from './datastore/sqlite/datastore-thread.ts'
