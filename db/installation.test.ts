import { expect, test } from 'vitest';
import { testDatabase } from '../test/support/test-database.ts';
import { addAgenda, addInsight, freshId } from '../test/support/test-records.ts';
import { admitBatch } from './admission/admit-batch.ts';
import { OtherNameError, readInstallation, renewInstallation, takeInstallationName } from './installation.ts';

test('the name is changed while no Agenda runs, and kept while one does', async () => {
  await using db = await testDatabase();
  expect((await readInstallation(db)).name).toBe('');
  expect((await takeInstallationName(db, 'north')).name).toBe('north');
  const insight = await addInsight(db);
  await addAgenda(db, insight);
  expect((await takeInstallationName(db, '')).name).toBe('');
  await admitBatch(db, { insightId: insight.insightId, batchId: freshId('batch') });
  await expect(takeInstallationName(db, 'north')).rejects.toThrow(
    'POP_INSTALLATION is "north" here, and not set for the 1 Agendas that run in this database.',
  );
  await expect(takeInstallationName(db, 'north')).rejects.toThrow(OtherNameError);
  expect((await takeInstallationName(db, '')).name).toBe('');
});

test('a renewal gives another id, is audited, and lets any name be taken though Agendas run', async () => {
  await using db = await testDatabase();
  const insight = await addInsight(db);
  await addAgenda(db, insight);
  await admitBatch(db, { insightId: insight.insightId, batchId: freshId('batch') });
  const before = await readInstallation(db);
  const renewed = await renewInstallation(db, { actor: 'system', cid: 'renewal' });
  expect(renewed).toEqual({ before, after: { id: expect.any(String), name: null } });
  expect(renewed.after.id).not.toBe(before.id);
  expect(await readInstallation(db)).toEqual(renewed.after);
  expect(await takeInstallationName(db, 'copy')).toEqual({ id: renewed.after.id, name: 'copy' });
  const [entry] = await db.$client`
      select action, actor, cid, object_id, before, after from audit_entry where action = 'installation.renew'`;
  expect(entry).toEqual({
    ...{ action: 'installation.renew', actor: 'system', cid: 'renewal', object_id: renewed.after.id },
    ...{ before: renewed.before, after: renewed.after },
  });
});
