/** What tests of admission do with an Insight: settings as a PUT changes them, Agendas, batches. */
import { admitBatch, type BatchAnswer } from '../../db/admission/admit-batch.ts';
import { settleChanged } from '../../db/admission/settlement.ts';
import { finishAgenda } from '../../db/agenda/finish-agenda.ts';
import type { Database } from '../../db/connect.ts';
import { customer } from '../../db/schema.ts';
import { addAgenda, freshId, type TestInsight } from './test-records.ts';

/** Of the database and the Insight that a test has at that moment. */
export function testAdmission(database: () => Database, insight: () => TestInsight) {
  const admit = (insightId = insight().insightId): Promise<BatchAnswer> =>
    admitBatch(database(), { insightId, batchId: freshId('batch') });

  /** Changes settings as a PUT does. */
  async function set(columns: Record<string, unknown>, insightId = insight().insightId): Promise<void> {
    const sql = database().$client;
    await sql`update insight set ${sql(columns)} where id = ${insightId}`;
    await settleChanged(database(), [insightId]);
  }

  async function setPool(columns: Record<string, unknown>, insights = [insight().insightId]): Promise<void> {
    const sql = database().$client;
    await sql`update resource_pool set ${sql(columns)} where id = ${insight().resourcePoolId}`;
    await settleChanged(database(), insights);
  }

  async function addCustomer(settings: Partial<typeof customer.$inferInsert> = {}): Promise<string> {
    const id = freshId('customer');
    await database()
      .insert(customer)
      .values({ id, cid: 'test', customerId: id, title: id, resourcePoolId: insight().resourcePoolId, ...settings });
    return id;
  }

  async function setCustomer(id: string, columns: Record<string, unknown>): Promise<void> {
    const sql = database().$client;
    await sql`update customer set ${sql(columns)} where id = ${id}`;
    await settleChanged(database(), [insight().insightId], [id]);
  }

  async function add(many: number, settings: Parameters<typeof addAgenda>[2] = {}, to = insight()): Promise<string[]> {
    const ids: string[] = [];
    for (let n = 0; n < many; n++) ids.push((await addAgenda(database(), to, settings)).agendaId);
    return ids;
  }

  const running = async (insightId = insight().insightId): Promise<{ id: string; customer: string }[]> => [
    ...(await database().$client<{ id: string; customer: string }[]>`
      select agenda_id as id, customer_id as customer
      from running_agenda where insight_id = ${insightId} order by admitted_time`),
  ];

  const finish = (agendaId: string) => finishAgenda(database(), { agendaId, attempt: 1 }, { outcome: 'succeeded' });

  return { admit, set, setPool, addCustomer, setCustomer, add, running, finish };
}
