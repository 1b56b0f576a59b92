/**
 * What `scripts/record-system.ts` recorded of a system of a former version: its rows and the histories of its open
 * workflows.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import type { temporal } from '@temporalio/proto';
import postgres from 'postgres';

/** Events of a workflow, oldest first. */
export type Events = readonly temporal.api.history.v1.IHistoryEvent[];

const folderOf = (version: string): string => fileURLToPath(new URL(`../history/upgrade-${version}/`, import.meta.url));

/** Loads the recorded rows into a database that has the schema of that version. */
export async function loadRows(version: string, databaseUrl: string): Promise<void> {
  const folder = folderOf(version);
  const sql = postgres(databaseUrl, { max: 1 });
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.copy'))) {
    const table = file.slice(0, -'.copy'.length);
    const text = await readFile(join(folder, file), 'utf8');
    const end = text.indexOf('\n');
    const into = await sql.unsafe(`copy "${table}" (${text.slice(0, end)}) from stdin`).writable();
    await pipeline(Readable.from([text.slice(end + 1)]), into);
  }
  // Numbers go on where the recorded system was.
  const numbered = await sql<{ table: string; column: string }[]>`
    select table_name as table, column_name as column from information_schema.columns
    where table_schema = 'public' and column_default like 'nextval%'`;
  for (const { table, column } of numbered)
    await sql`
      select setval(pg_get_serial_sequence(${table}, ${column}),
        (select coalesce(max(${sql(column)}), 0) + 1 from ${sql(table)}))`;
  await sql.end();
}

/** The history of an Agenda's workflow, by the title of the Agenda. */
export async function readEvents(version: string, title: string): Promise<Events> {
  const text = await readFile(join(folderOf(version), `agenda-${title}.json`), 'utf8');
  return (historyFromJSON(JSON.parse(text)) as temporal.api.history.v1.IHistory).events ?? [];
}

/** What the local activities of a history answered, in order. */
export function answersOf(events: Events): { readonly activity: string; readonly answer: unknown }[] {
  return events.flatMap(({ markerRecordedEventAttributes: marker }) => {
    const { data, result } = marker?.details ?? {};
    const read = (payloads: typeof data): unknown =>
      JSON.parse(Buffer.from(payloads?.payloads?.[0]?.data ?? []).toString() || 'null');
    if (data === undefined) return [];
    return [{ activity: (read(data) as { activity_type: string }).activity_type, answer: read(result) }];
  });
}

/** What happened to a workflow, without its own tasks: those depend on the moment. */
export function happenings(events: Events): string[] {
  return events.flatMap((event) => {
    const kind = Object.keys(event).find((key) => key.endsWith('EventAttributes') && event[key as keyof typeof event]);
    if (kind === undefined || kind.startsWith('workflowTask')) return [];
    return [kind.slice(0, -'EventAttributes'.length)];
  });
}
