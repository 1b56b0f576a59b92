import { startTestPostgres, testPostgresVariable } from './test-postgres.ts';

/** Vitest's global set-up: one Postgres for the run; test files find it by the environment. */
export async function setup(): Promise<() => Promise<void>> {
  const server = await startTestPostgres();
  process.env[testPostgresVariable] = server.url;
  return async () => server[Symbol.asyncDispose]();
}
