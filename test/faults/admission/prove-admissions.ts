/**
 * What the tables of admission must show, whoever died meanwhile: asserted from the rows and from what triggers noted,
 * apart from the scheduler.
 */
import type postgres from 'postgres';
import { expect } from 'vitest';
import { eventsAgainstRecord } from '../../support/events-against-record.ts';
import { type Standing, takeBatches } from './admission-watch.ts';
import { entitled, insights, slots } from './entitlements.ts';
import { type AdmittedBatch, compareService, runsOf } from './fairness-bound.ts';

/** A row of `admission`. */
export interface Row {
  readonly agendaId: string;
  readonly insightId: string;
  readonly customerId: string;
  readonly attempt: number;
  readonly number: number;
  readonly admittedTime: Date;
  readonly endedTime: Date | null;
  readonly cost: number;
  readonly weight: number;
  readonly total: number;
  readonly clock: number;
  readonly start: number;
  readonly finish: number;
}

/** Of Agendas that all have ended, and that were submitted before the first of them was admitted. */
export async function proveAdmissions(
  sql: postgres.Sql,
  agendaIds: readonly string[],
  { from, to }: { readonly from: Date; readonly to: Date },
): Promise<void> {
  expect(await eventsAgainstRecord({ $client: sql }), 'events tell what the record has').toEqual([]);
  const { before, batches } = await takeBatches(sql);
  expect(batches.flatMap((batch) => batch.agendaIds).toSorted(), 'each took capacity once').toEqual(
    agendaIds.toSorted(),
  );
  proveDivision(batches.map(({ after }) => after));

  const rows = await sql<Row[]>`
    select agenda_id as "agendaId", insight_id as "insightId", customer_id as "customerId", attempt, number::int,
      admitted_time as "admittedTime", ended_time as "endedTime", cost, weight, total, clock, start, finish
    from admission order by insight_id, number`;
  for (const [insightId, own] of Map.groupBy(rows, (row) => row.insightId)) {
    expect(
      own.map(({ number }) => number),
      `numbers in ${insightId}`,
    ).toEqual(own.map((_, index) => index + 1));
    proveTags(own);
  }
  const counted = await sql<
    { id: string; admissions: number }[]
  >`select insight_id as id, admissions::int from insight_state order by 1`;
  expect(counted, 'admissions that are counted').toEqual(
    Object.keys(insights).map((id) => ({ id, admissions: rows.filter(({ insightId }) => insightId === id).length })),
  );
  const ids = new Set(agendaIds);
  const now = new Map(rows.filter(({ agendaId }) => ids.has(agendaId)).map((row) => [row.agendaId, row]));
  expect(now.size, 'each has its row').toBe(agendaIds.length);
  for (const { attempt, admittedTime, endedTime, cost, weight, insightId, customerId } of now.values()) {
    expect({ attempt, cost, weight }).toEqual({ attempt: 1, cost: 1, weight: entitled.weight(insightId, customerId) });
    for (const time of [admittedTime, ...(endedTime === null ? [] : [endedTime])]) {
      expect(time.getTime(), 'by the clock of the record').toBeGreaterThanOrEqual(from.getTime());
      expect(time.getTime(), 'by the clock of the record').toBeLessThanOrEqual(to.getTime());
    }
  }

  const admittedBatches: AdmittedBatch<Row>[] = batches.map((batch) => ({
    admitted: batch.agendaIds.map((id) => now.get(id) as Row).toSorted((a, b) => a.number - b.number),
    after: batch.after,
  }));
  const pairs = compareService(before, admittedBatches, entitled);
  expect(pairs.filter(({ isExceeded }) => isExceeded)).toEqual([]);
  // Worth something: who has no cap could be served for much of the time.
  const noLimit = Number.POSITIVE_INFINITY;
  for (const { insightId, behind, admissions } of pairs) {
    if (entitled.cap(behind) !== noLimit || entitled.capInInsight(insightId, behind) !== noLimit) continue;
    const all = [...now.values()].filter((row) => row.insightId === insightId).length;
    expect(admissions, `admissions of ${insightId} while ${behind} could be served`).toBeGreaterThan(all / 3);
  }
  for (const { insightId, customerId } of before) {
    for (const run of runsOf({ insightId, customerId }, before, admittedBatches, entitled))
      proveChoices(customerId, run);
  }
}

/** While both Insights have enough waiting, neither holds more than its part of the slots, rounded up. */
function proveDivision(standings: readonly (readonly Standing[])[]): void {
  const weights = Object.values(insights).reduce((sum, { weight }) => sum + weight, 0);
  for (const standing of standings) {
    const own = Object.keys(insights).map((insightId) => standing.filter((one) => one.insightId === insightId));
    // Bronze has no cap: what it has waiting can be used.
    if (!own.every((ones) => ones.some(({ customerId, waiting }) => customerId === 'bronze' && waiting >= slots)))
      continue;
    for (const [index, [insightId, { weight }]] of Object.entries(insights).entries()) {
      const running = own[index]?.reduce((sum, one) => sum + one.running, 0);
      expect(running, `slots of ${insightId}`).toBeLessThanOrEqual(Math.ceil((slots * weight) / weights));
    }
  }
}

/** Sums of a few thousand quarters are exact enough. */
const little = 1e-9;

/**
 * Rows of one Insight, in order of their numbers: a tag goes on where it was left, or later at the clock; the clock
 * never goes back.
 */
function proveTags(rows: readonly Row[]): void {
  const last = new Map<string, Row>();
  let earlier: Row | undefined;
  for (const row of rows) {
    const own = last.get(row.customerId);
    const where = JSON.stringify({ own, earlier, row });
    expect(Math.abs(row.finish - (row.start + row.cost / row.weight)), `its deadline: ${where}`).toBeLessThan(little);
    if (earlier !== undefined) {
      // Where nobody was due, the clock went on to the first who would be.
      const clock = Math.max(earlier.clock, earlier.start) + earlier.cost / earlier.total;
      expect(row.clock, `the clock: ${where}`).toBeGreaterThan(clock - little);
    }
    if (own !== undefined && Math.abs(row.start - own.finish) > little) {
      expect(row.start, `a tag went back: ${where}`).toBeGreaterThan(own.finish);
      expect(row.start, `it came back after the clock: ${where}`).toBeLessThan(row.clock + little);
    }
    last.set(row.customerId, row);
    earlier = row;
  }
}

/**
 * A run of admissions throughout which this customer could have been served: from its first on, its tag is known from
 * the rows alone. Then none is served in its place that is due later (rule 2), and nobody before the clock has come to
 * it while this one is behind the clock.
 */
function proveChoices(customerId: string, run: readonly Row[]): void {
  let own: Row | undefined;
  for (const row of run) {
    if (own !== undefined) {
      const where = JSON.stringify({ own, row });
      const deadline = own.finish + 1 / own.weight;
      if (row.customerId === customerId)
        expect(Math.abs(row.start - own.finish), `its tag moved: ${where}`).toBeLessThan(little);
      else if (row.start > row.clock + little)
        expect(row.start, `the clock passed ${customerId}: ${where}`).toBeLessThan(own.finish + little);
      else if (own.finish < row.clock - little)
        expect(row.finish, `${customerId} was due earlier: ${where}`).toBeLessThan(deadline + little);
    }
    if (row.customerId === customerId) own = row;
  }
}
