import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { maximumNameLength, maximumOperations } from '../../agenda/types.ts';
import type { PlannedOperation } from '../../db/agenda/read-plan.ts';
import { type TestDatabase, testDatabase } from '../../test/support/test-database.ts';
import { addRunningAgenda } from '../../test/support/test-records.ts';
import type { PlanPiece, PlanPosition } from '../../workflows/activities.ts';
import type { ControlParts } from './parts.ts';
import { cutPiece, type PieceLimits, pieceLimits, readPiece } from './plan-piece.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const start: PlanPosition = { operation: 0, dependency: 0 };

/** All pieces of an Agenda whose Operations each wait for all before, with names as long as they may be. */
async function piecesOf(count: number, limits?: PieceLimits): Promise<PlanPiece[]> {
  const agenda = await addRunningAgenda(database, {
    operations: Array.from({ length: count }, (_, index) => ({
      name: `${index}-`.padEnd(maximumNameLength, 'x'),
      dependencies: [...Array(index).keys()],
    })),
  });
  // Of what the activity has it needs the database alone.
  const parts = { database } as unknown as ControlParts;
  const pieces: PlanPiece[] = [];
  for (let from: PlanPosition | undefined = start; from !== undefined; from = pieces.at(-1)?.more) {
    const piece = await readPiece(parts, agenda, from, limits);
    if (piece === undefined) throw new Error('the attempt is not running');
    expect(piece.from).toEqual(from);
    pieces.push(piece);
  }
  return pieces;
}

describe('a plan in pieces', () => {
  test('of the largest Agenda there may be has none above 128 KiB', async () => {
    const pieces = await piecesOf(maximumOperations);
    const bytes = pieces.map((piece) => Buffer.byteLength(JSON.stringify(piece)));
    expect(Math.max(...bytes)).toBeLessThanOrEqual(pieceLimits.bytes + 200);
    // Nor are they needlessly small.
    expect(Math.min(...bytes.slice(0, -1))).toBeGreaterThan(pieceLimits.bytes * 0.7);
    expect(new Set(pieces.flatMap(({ names }) => names)).size).toBe(maximumOperations);
  });

  test.each([1, 300, 1_000])(
    'of at most %i bytes each has every Operation and every dependency once, in order',
    async (bytes) => {
      const dependencies: number[][] = [];
      for (const piece of await piecesOf(12, { bytes, operations: 5 }))
        piece.dependencies.forEach((list, n) => {
          const index = piece.from.operation + n;
          if (n > 0 || piece.from.dependency === 0) expect(dependencies[index] ?? []).toEqual([]);
          dependencies[index] = [...(dependencies[index] ?? []), ...list];
        });
      expect(dependencies).toEqual(Array.from({ length: 12 }, (_, index) => [...Array(index).keys()]));
    },
  );

  test('of a small Agenda is one', async () => {
    const pieces = await piecesOf(20);
    expect(pieces).toHaveLength(1);
    expect(pieces[0]).not.toHaveProperty('more');
  });
});

test('a piece goes on however little fits', () => {
  const operation: PlannedOperation = {
    ...{ index: 7, last: 7, name: 'join', type: 'sample', dependencies: [1, 2, 3], timeout: null },
    ...{ state: 'WAITING', message: 'pending' },
  };
  const piece = cutPiece([operation], { operation: 7, dependency: 40 }, 1);
  expect(piece).toMatchObject({ dependencies: [[1]], more: { operation: 7, dependency: 41 } });
});
