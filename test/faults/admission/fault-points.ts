/**
 * Points at which a process may die while it admits and starts: before and after each statement of an activity, the
 * begin and the commit of its transactions, its calls to Temporal, and its answer. Nobody lists them: they are found as
 * they come by, so that a new statement is a new point. A statement is named by the comment it begins with, or by its
 * first words.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Client, type WorkflowClientInterceptor } from '@temporalio/client';
import { drizzle } from 'drizzle-orm/postgres-js';
import type postgres from 'postgres';
import type { Database } from '../../../db/connect.ts';
import * as schema from '../../../db/schema.ts';
import type { lazyTemporalClient } from '../../../temporal/connect.ts';
import type { ControlActivities } from '../../../workflows/activities.ts';

/** Of a statement, a call or an answer. */
export type Side = 'before' | 'after';
/** Told of each point that comes by; may not return. */
export type Passing = (side: Side, name: string) => void;

/** The activity in which something happens. */
const activity = new AsyncLocalStorage<string>();

/** Activities of these names are watched, all that they do. */
export function watchActivities(
  activities: ControlActivities,
  names: readonly (keyof ControlActivities)[],
  pass: Passing,
): ControlActivities {
  const watched = names.map((name) => {
    const run = activities[name] as (input: unknown) => Promise<unknown>;
    const watchedRun = async (input: unknown) => {
      const answer = await activity.run(name, () => run(input));
      pass('before', `${name}: answer`);
      return answer;
    };
    return [name, watchedRun];
  });
  return { ...activities, ...Object.fromEntries(watched) };
}

/** A database whose statements are watched while a watched activity runs. */
export function watchDatabase(database: Database, pass: Passing): Database {
  const client = watchStatements(database.$client, pass);
  return Object.assign(drizzle(client, { schema }), { [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() });
}

type Tag = postgres.Sql | postgres.TransactionSql;

/** What postgres.js makes of a template: sent when it is first awaited, or never, as a fragment of another. */
interface Query {
  handle(): Promise<void>;
  resolve(value: unknown): void;
  readonly executed: boolean;
  readonly strings: readonly string[];
}

function watchStatements<T extends Tag>(sql: T, pass: Passing): T {
  return new Proxy(sql, {
    apply: (target, self, parameters) => watchQuery(Reflect.apply(target, self, parameters), pass),
    get(target, property, receiver) {
      if (property === 'begin') {
        return (...parameters: unknown[]) => watchTransaction(target as postgres.Sql, parameters.at(-1) as Work, pass);
      }
      const value = Reflect.get(target, property, receiver);
      if (property !== 'unsafe') return value;
      return (...parameters: unknown[]) => watchQuery(Reflect.apply(value as () => unknown, target, parameters), pass);
    },
  });
}

function watchQuery(made: unknown, pass: Passing): unknown {
  // Names of columns and values of inserts are no queries.
  if (typeof (made as Partial<Query>).handle !== 'function') return made;
  const query = made as Query;
  const { handle, resolve } = query;
  query.handle = () => {
    const name = activity.getStore();
    if (name !== undefined && !query.executed) {
      const statement = nameOf(name, query.strings[0] ?? '');
      query.resolve = (value) => {
        pass('after', statement);
        resolve(value);
      };
      pass('before', statement);
    }
    return handle.call(query);
  };
  return query;
}

type Work = (sql: postgres.TransactionSql) => Promise<unknown>;

async function watchTransaction(sql: postgres.Sql, work: Work, pass: Passing): Promise<unknown> {
  const name = activity.getStore();
  const at = (side: Side, what: string) => {
    if (name !== undefined) pass(side, `${name}: ${what}`);
  };
  at('before', 'begin');
  const result = await sql.begin(async (transaction) => {
    at('after', 'begin');
    const made = await work(watchStatements(transaction, pass));
    at('before', 'commit');
    return made;
  });
  at('after', 'commit');
  return result;
}

function nameOf(activityName: string, statement: string): string {
  const comment = /^\s*\/\*\s*(.*?)\s*\*\//.exec(statement)?.[1];
  const name = comment ?? statement.trim().split(/\s+/).slice(0, 5).join(' ');
  return name.startsWith(`${activityName}: `) ? name : `${activityName}: ${name}`;
}

type TemporalClient = ReturnType<typeof lazyTemporalClient>;

/** A client whose calls are watched while a watched activity runs. */
export function watchTemporal(
  client: TemporalClient,
  pass: Passing,
  more: readonly WorkflowClientInterceptor[] = [],
): TemporalClient {
  const around = async <T>(what: string, call: () => Promise<T>): Promise<T> => {
    const name = activity.getStore();
    if (name === undefined) return call();
    pass('before', `${name}: ${what}`);
    const answer = await call();
    pass('after', `${name}: ${what}`);
    return answer;
  };
  const watcher: WorkflowClientInterceptor = {
    startWithDetails: (input, next) => around('workflow.start', () => next(input)),
    describe: (input, next) => around('workflow.describe', () => next(input)),
  };
  const { connection } = client;
  const watched = new Client({
    connection,
    namespace: client.options.namespace,
    interceptors: { workflow: [watcher, ...more] },
  });
  return Object.assign(watched, { names: client.names, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() });
}
