/** Limits, and what time and settings change: each acts at the next batch, none is ever exceeded. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { testAdmission } from '../../test/support/test-admission.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addInsight, type TestInsight } from '../../test/support/test-records.ts';
import { cancelAgenda } from '../agenda/cancel-agenda.ts';
import { finishAgenda } from '../agenda/finish-agenda.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

let insight: TestInsight;
beforeEach(async () => {
  insight = await addInsight(database, { schedulingAlgorithm: 'Fairness' });
});

const { admit, set, setPool, addCustomer, setCustomer, add, running, finish } = testAdmission(
  () => database,
  () => insight,
);

const counted = (rows: readonly { customer: string }[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const row of rows) counts[row.customer] = (counts[row.customer] ?? 0) + 1;
  return counts;
};

const breaches = () => database.$client`select * from limit_breach`;

describe('pauses', () => {
  test('a paused Insight, customer or pool admits nothing, and everything once it is not paused any more', async () => {
    const id = await addCustomer();
    await add(2, { customerId: id });
    await set({ paused: true });
    expect(await admit()).toMatchObject({ admitted: 0 });
    await set({ paused: false });
    await setCustomer(id, { paused: true });
    expect(await admit()).toMatchObject({ admitted: 0 });
    await setCustomer(id, { paused: false });
    await setPool({ paused: true });
    expect(await admit()).toMatchObject({ admitted: 0 });
    await setPool({ paused: false });
    expect(await admit()).toMatchObject({ admitted: 2 });
  });

  test('an Insight pauses one customer, and lets it go on beside its own setting', async () => {
    const [here, there] = [await addCustomer(), await addCustomer({ paused: true })];
    await add(1, { customerId: here });
    await add(1, { customerId: there });
    await set({ customers: JSON.stringify({ [here]: { paused: true }, [there]: { paused: false } }) });
    await admit();
    expect((await running()).map((row) => row.customer)).toEqual([there]);
  });
});

describe('limits of customers', () => {
  test('a customer runs no more than its maximum over all Insights, and the next goes when one ends', async () => {
    const other = await addInsight(database, {
      resourcePoolId: insight.resourcePoolId,
      schedulingAlgorithm: 'Fairness',
    });
    const id = await addCustomer({ maximumRunning: 3 });
    await add(4, { customerId: id });
    await add(4, { customerId: id }, other);
    expect(await admit()).toMatchObject({ admitted: 3 });
    expect(await admit(other.insightId)).toMatchObject({ admitted: 0 });
    await finish((await running())[0]?.id as string);
    expect(await admit(other.insightId)).toMatchObject({ admitted: 1 });
    expect(await admit()).toMatchObject({ admitted: 0 });
    expect(await breaches()).toEqual([]);
  });

  test('the maximum inside one Insight holds beside it, and is lifted at the next batch', async () => {
    const id = await addCustomer({ maximumRunning: 5 });
    await add(9, { customerId: id });
    await set({ customers: JSON.stringify({ [id]: { maximumRunning: 2 } }) });
    expect(await admit()).toMatchObject({ admitted: 2 });
    await set({ customers: JSON.stringify({}) });
    expect(await admit()).toMatchObject({ admitted: 3 });
    await setCustomer(id, { maximum_running: null });
    expect(await admit()).toMatchObject({ admitted: 4 });
  });
});

describe('admissions per second', () => {
  test('no more than the rate goes in a second; the answer says when the next may', async () => {
    await add(9);
    await set({ admissions_per_second: 3 });
    const first = await admit();
    expect(first).toMatchObject({ admitted: 3, againInSeconds: expect.closeTo(1, 0) });
    const second = await admit();
    expect(second.admitted).toBe(0);
    expect(second.againInSeconds).toBeGreaterThan(0);
    expect(second.againInSeconds).toBeLessThanOrEqual(1);
    await database.$client`update admission set admitted_time = admitted_time - interval '1 second'
      where insight_id = ${insight.insightId}`;
    expect(await admit()).toMatchObject({ admitted: 3 });
    expect(await breaches()).toEqual([]);
  });

  test('a rate below one lets one in per its period', async () => {
    await add(2);
    await set({ admissions_per_second: 0.1 });
    expect(await admit()).toMatchObject({ admitted: 1 });
    const { admitted, againInSeconds } = await admit();
    expect(admitted).toBe(0);
    expect(againInSeconds).toBeGreaterThan(8);
    expect(againInSeconds).toBeLessThanOrEqual(10);
  });
});

describe('time', () => {
  test('an Agenda goes when it is due and not before; the answer says when that is', async () => {
    const [agendaId] = await add(1);
    await database.$client`
      update ready_agenda set is_due = false, ready_time = clock_timestamp() + interval '100 seconds'
        where agenda_id = ${agendaId as string}`;
    const early = await admit();
    expect(early.admitted).toBe(0);
    expect(early.againInSeconds).toBeGreaterThan(90);
    expect(early.againInSeconds).toBeLessThanOrEqual(100);
    await database.$client`update ready_agenda set ready_time = clock_timestamp()
      where agenda_id = ${agendaId as string}`;
    expect(await admit()).toEqual(expect.objectContaining({ admitted: 1 }));
  });

  test('an Agenda that waited long enough climbs a band, over ones of the band above that came later', async () => {
    await set({ scheduling_algorithm: 'Priority', promote_after: 600, queue_size: 0 });
    const [top, low] = [await addCustomer({ band: 0 }), await addCustomer({ band: 1 })];
    await add(3, { customerId: top });
    const [old] = await add(1, { customerId: low, readyTime: new Date(Date.now() - 3_600_000) });
    await add(2, { customerId: low });
    await admit();
    await admit();
    const rows = await database.$client`select agenda_id as id, promoted from ready_agenda where customer_id = ${low}
        and promoted > 0`;
    expect([...rows]).toEqual([{ id: old, promoted: 1 }]);
    await set({ queue_size: 2 });
    await admit();
    expect(counted(await running())).toEqual({ [top]: 1, [low]: 1 });
  });
});

describe('weights', () => {
  test('a change acts on the backlog at the next batch', async () => {
    const [a, b] = [await addCustomer(), await addCustomer()];
    await set({ cost_model: 'count', queue_size: 10 });
    await add(20, { customerId: a });
    await add(20, { customerId: b });
    await admit();
    expect(counted(await running())).toEqual({ [a]: 5, [b]: 5 });
    await setCustomer(a, { weight: 9 });
    await set({ queue_size: 20 });
    await admit();
    expect(counted(await running())).toEqual({ [a]: 14, [b]: 6 });
  });

  test('a weight inside the Insight goes before the customer’s own', async () => {
    const [a, b] = [await addCustomer({ weight: 50 }), await addCustomer()];
    await set({ cost_model: 'count', queue_size: 8, customers: JSON.stringify({ [a]: { weight: 3 } }) });
    await add(20, { customerId: a });
    await add(20, { customerId: b });
    await admit();
    expect(counted(await running())).toEqual({ [a]: 6, [b]: 2 });
  });
});

describe('another algorithm', () => {
  test.each(['FirstInFirstOut', 'RoundRobin', 'Priority'])(
    'to %s and back to Fairness at the next batch',
    async (algorithm) => {
      const [a, b] = [await addCustomer(), await addCustomer()];
      await set({ cost_model: 'count', queue_size: 2 });
      await add(10, { customerId: a, readyTime: new Date(Date.now() - 60_000) });
      await add(10, { customerId: b });
      await admit();
      expect(counted(await running())).toEqual({ [a]: 1, [b]: 1 });
      await set({ scheduling_algorithm: algorithm, queue_size: 6 });
      await admit();
      expect(counted(await running())).toEqual(
        algorithm === 'FirstInFirstOut' ? { [a]: 5, [b]: 1 } : { [a]: 3, [b]: 3 },
      );
      await set({ scheduling_algorithm: 'Fairness', queue_size: 10 });
      await admit();
      expect(counted(await running())).toEqual(
        algorithm === 'FirstInFirstOut' ? { [a]: 7, [b]: 3 } : { [a]: 5, [b]: 5 },
      );
    },
  );
});

describe('resources', () => {
  test('each resource of the pool holds, whatever the Insights', async () => {
    await setPool({ capacity: JSON.stringify({ cpu: 8, memory: 100 }) });
    await add(3, { need: '1,3,10,0' });
    await add(3, { need: '1,0,80,0' });
    await admit();
    const held = await database.$client`select sum(cpu)::int as cpu, sum(memory)::int as memory from running_agenda
        where insight_id = ${insight.insightId}`;
    expect(held[0]).toEqual({ cpu: 6, memory: 100 });
    expect(await breaches()).toEqual([]);
  });

  test('capacity is held for what does not fit: small ones do not starve it, nor does another Insight', async () => {
    const other = await addInsight(database, {
      resourcePoolId: insight.resourcePoolId,
      schedulingAlgorithm: 'Fairness',
    });
    await setPool({ capacity: JSON.stringify({ slots: 4 }) }, [insight.insightId, other.insightId]);
    await set({ bypass_limit: 0 });
    const [first] = await add(1);
    await admit();
    const [large] = await add(1, { customerId: await addCustomer(), need: '4,0,0,0' });
    expect(await admit()).toMatchObject({ admitted: 0 });
    await add(2, { customerId: await addCustomer() });
    await add(2, { customerId: await addCustomer() }, other);
    expect(await admit()).toMatchObject({ admitted: 0 });
    expect(await admit(other.insightId)).toMatchObject({ admitted: 0 });
    await finish(first as string);
    expect(await admit()).toMatchObject({ admitted: 1 });
    expect((await running()).map(({ id }) => id)).toEqual([large]);
    expect((await database.$client`select reason from admission where agenda_id = ${large as string}`)[0]).toEqual({
      reason: 'reservation',
    });
  });

  test.each(['cancelled', 'paused'])(
    'capacity that is held for an Agenda is for others once that one, or its Insight, is %s',
    async (how) => {
      const other = await addInsight(database, {
        resourcePoolId: insight.resourcePoolId,
        schedulingAlgorithm: 'Fairness',
      });
      await setPool({ capacity: JSON.stringify({ slots: 4 }) }, [insight.insightId, other.insightId]);
      await set({ bypass_limit: 0, maximum_running: 1 });
      await add(1);
      await admit();
      const [large] = await add(1, { customerId: await addCustomer(), need: '4,0,0,0' });
      await set({ maximum_running: 2 });
      await admit();
      // A limit that is reached meanwhile does not give up what is held.
      await set({ maximum_running: 1 });
      await admit();
      await add(1, { customerId: await addCustomer() }, other);
      expect(await admit(other.insightId)).toMatchObject({ admitted: 0 });
      if (how === 'paused') await set({ paused: true });
      else await cancelAgenda(database, { agendaId: large as string, actor: 'test' });
      await admit();
      expect(await admit(other.insightId)).toMatchObject({ admitted: 1 });
    },
  );

  test.each(['Fairness', 'Priority', 'RoundRobin', 'FirstInFirstOut'])(
    '%s: one that needs more than the whole pool stops nobody, and goes once the pool has grown',
    async (algorithm) => {
      await set({ scheduling_algorithm: algorithm });
      await setPool({ capacity: JSON.stringify({ slots: 2 }) });
      const id = await addCustomer();
      const [large] = await add(1, { customerId: id, need: '3,0,0,0' });
      await add(1, { customerId: id });
      await add(1, { customerId: await addCustomer() });
      expect(await admit()).toMatchObject({ admitted: 2, more: false });
      for (const row of await running()) await finish(row.id);
      expect(await admit()).toMatchObject({ admitted: 0, more: false });
      await setPool({ capacity: JSON.stringify({ slots: 3 }) });
      await admit();
      expect((await running()).map((row) => row.id)).toEqual([large]);
    },
  );
});

describe('costs', () => {
  const entitled = (): Promise<{ cost: number; actual: number | null }[]> =>
    database.$client<{ cost: number; actual: number | null }[]>`
      select cost, actual_cost as actual from admission where insight_id = ${insight.insightId} order by number`.then(
      (rows) => [...rows],
    );

  test('time is charged as expected, trued up at the end and learned for the next of customer and type', async () => {
    await setPool({ capacity: JSON.stringify({ slots: 10 }) });
    const [first] = await add(1, { agendaType: 'encode×1' });
    await admit();
    // One of ten slots for the 60 seconds that an unknown duration counts.
    expect(await entitled()).toEqual([{ cost: 6, actual: null }]);
    await database.$client`update admission set admitted_time = admitted_time - interval '200 seconds'
      where agenda_id = ${first as string}`;
    await finish(first as string);
    await add(1, { agendaType: 'encode×1' });
    await admit();
    const [was, now] = await entitled();
    expect(was?.actual).toBeCloseTo(20, 0);
    expect(now?.cost).toBeCloseTo(20, 0);
  });

  test('a failed run is charged for its time, and nothing is learned from it', async () => {
    const [first] = await add(1, { agendaType: 'encode×1' });
    await admit();
    await finishAgenda(database, { agendaId: first as string, attempt: 1 }, { outcome: 'failed' });
    await add(1, { agendaType: 'encode×1' });
    await admit();
    const [was, now] = await entitled();
    expect(was?.actual).toBeLessThan(10);
    expect(now?.cost).toBe(60);
  });
});

describe('many lanes', () => {
  test('customers that all left at once hold up nobody: one batch passes them all', async () => {
    const many = 1_500;
    await set({ cost_model: 'count', queue_size: 0 });
    const sql = database.$client;
    const prefix = `${insight.insightId}-`;
    await sql`
      insert into ready_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt)
      select ${prefix} || n, ${insight.insightId}, ${insight.resourcePoolId}, ${prefix} || n, 1
        from generate_series(1, ${many}) n`;
    await sql`
      insert into settlement (insight_id, customer_id, kind, promoted, need, priority)
      select ${insight.insightId}, ${prefix} || n, 'ready', 0, '1,0,0,0', 0 from generate_series(1, ${many}) n`;
    await set({ queue_size: many });
    while ((await running()).length < many) await admit();
    await sql`delete from running_agenda where insight_id = ${insight.insightId}`;
    await add(2, { customerId: await addCustomer() });
    await database.$client`update insight set maximum_running = 1 where id = ${insight.insightId}`;
    expect(await admit()).toMatchObject({ admitted: 1, more: false });
  });

  test('one need of very many is not forgotten', async () => {
    const many = 600;
    await setPool({ capacity: JSON.stringify({ memory: 1_000_000 }) });
    await set({ cost_model: 'count', maximum_running: 1 });
    const sql = database.$client;
    const prefix = `${insight.insightId}-`;
    await sql`
      insert into ready_agenda (agenda_id, insight_id, resource_pool_id, customer_id, attempt, need)
      select ${prefix} || n, ${insight.insightId}, ${insight.resourcePoolId}, ${prefix} || n % 7, 1,
        '1,0,' || n || ',0'
      from generate_series(1, ${many}) n`;
    await sql`
      insert into settlement (insight_id, customer_id, kind, promoted, need, priority)
      select ${insight.insightId}, ${prefix} || n % 7, 'ready', 0, '1,0,' || n || ',0', 0
        from generate_series(1, ${many}) n`;
    const [last] = await add(1, { customerId: await addCustomer(), need: '1,0,9999,0' });
    const seen = new Set<string>();
    for (let n = 0; n < 12 && !seen.has(last as string); n++) {
      await admit();
      for (const { id } of await running()) {
        seen.add(id);
        await finish(id);
      }
    }
    expect(seen).toContain(last);
  });
});

describe('between Insights', () => {
  test('a pool is divided by weight while both want it, and one takes all that the other leaves', async () => {
    const other = await addInsight(database, {
      resourcePoolId: insight.resourcePoolId,
      schedulingAlgorithm: 'Fairness',
    });
    await setPool({ capacity: JSON.stringify({ slots: 8 }) }, [insight.insightId, other.insightId]);
    await set({ weight: 3 });
    await add(20);
    await add(20, {}, other);
    // Both have to be heard before what they want can be divided.
    await database.$client`update insight set queue_size = 0 where id = any(${[insight.insightId, other.insightId]})`;
    await admit();
    await admit(other.insightId);
    await database.$client`update insight set queue_size = 100 where id = any(${[insight.insightId, other.insightId]})`;
    await admit(other.insightId);
    await admit();
    expect([(await running()).length, (await running(other.insightId)).length]).toEqual([6, 2]);
    await set({ paused: true }, other.insightId);
    for (const { id } of await running(other.insightId)) await finish(id);
    await admit(other.insightId);
    expect(await admit()).toMatchObject({ admitted: 2 });
    expect(await breaches()).toEqual([]);
  });

  test('a guaranteed minimum and a maximum hold', async () => {
    const other = await addInsight(database, {
      resourcePoolId: insight.resourcePoolId,
      schedulingAlgorithm: 'Fairness',
    });
    await setPool({ capacity: JSON.stringify({ slots: 10 }) }, [insight.insightId, other.insightId]);
    await set({ maximum: 7, weight: 100 });
    await set({ guaranteed: 4 }, other.insightId);
    await add(20);
    await admit();
    expect((await running()).length).toBe(7);
    await add(20, {}, other);
    await admit(other.insightId);
    expect((await running(other.insightId)).length).toBe(3);
    await finish((await running())[0]?.id as string);
    expect(await admit()).toMatchObject({ admitted: 0 });
    expect(await admit(other.insightId)).toMatchObject({ admitted: 1 });
  });

  test('a resource that is used up wakes only those that need none of it', async () => {
    const other = await addInsight(database, {
      resourcePoolId: insight.resourcePoolId,
      schedulingAlgorithm: 'Fairness',
      maximumRunning: 0,
    });
    await setPool({ capacity: JSON.stringify({ slots: 3, gpu: 1 }) }, [insight.insightId, other.insightId]);
    await add(1, {}, other);
    await admit(other.insightId);
    await add(1, { need: '1,0,0,1' });
    expect((await admit()).wake).toEqual([other.insightId]);
    await database.$client`update ready_agenda set need = '1,0,0,1' where insight_id = ${other.insightId}`;
    await database.$client`update waiting_queue set need = '1,0,0,1' where insight_id = ${other.insightId}`;
    await add(1);
    expect((await admit()).wake).toBeUndefined();
  });

  test('an Insight that leaves something wakes those that wait; two never wake each other for nothing', async () => {
    const other = await addInsight(database, {
      resourcePoolId: insight.resourcePoolId,
      schedulingAlgorithm: 'Fairness',
      maximumRunning: 1,
    });
    await setPool({ capacity: JSON.stringify({ slots: 3 }) }, [insight.insightId, other.insightId]);
    await add(2, {}, other);
    await admit(other.insightId);
    await add(1);
    expect((await admit()).wake).toEqual([other.insightId]);
    expect(await admit(other.insightId)).toEqual({ admitted: 0, more: false });
    expect(await admit()).toEqual({ admitted: 0, more: false });
  });
});
