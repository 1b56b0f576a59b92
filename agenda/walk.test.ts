import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { popSmallest, pushIndex } from './index-heap.ts';
import type { OperationOutcome } from './outcomes.ts';
import { beginWalk, endOperation, mostPerTake, outcomeOf, running, stopNew, takeReady, type Walk } from './walk.ts';

const begin = (dependencies: number[][], parallelism = 200) => beginWalk({ dependencies, ended: [], parallelism });
/** Nothing runs and nothing more will start. */
const isOver = ({ inFlight, stopped, ready, statuses }: Walk) =>
  inFlight.length === 0 && (stopped !== 'no' || !ready.some((index) => statuses[index] === 'waiting'));
const roundTrip = (walk: Walk) => JSON.parse(JSON.stringify(walk)) as Walk;

/** A random DAG under random names: each node depends on nodes earlier in a shuffled order. */
const dag = fc.integer({ min: 1, max: 25 }).chain((count) =>
  fc
    .tuple(
      fc.shuffledSubarray([...Array(count).keys()], { minLength: count, maxLength: count }),
      fc.array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: count, maxLength: count }),
    )
    .map(([order, picks]) => {
      const dependencies: number[][] = Array.from({ length: count }, () => []);
      order.forEach((node, place) => {
        const earlier = order.slice(0, place);
        dependencies[node] = place === 0 ? [] : (picks[place] ?? []).map((pick) => earlier[pick % place] as number);
      });
      return dependencies;
    }),
);

describe('a diamond', () => {
  const diamond = [[], [0], [0], [1, 2]];

  test('starts each Operation as its own dependencies succeed', () => {
    const walk = begin(diamond);
    expect(takeReady(walk)).toEqual([0]);
    expect(takeReady(walk)).toEqual([]);
    endOperation(walk, 0, 'succeeded');
    expect(takeReady(walk)).toEqual([1, 2]);
    endOperation(walk, 2, 'succeeded');
    expect([takeReady(walk), running(walk), isOver(walk)]).toEqual([[], [1], false]);
    endOperation(walk, 1, 'succeeded');
    expect(takeReady(walk)).toEqual([3]);
    endOperation(walk, 3, 'succeeded');
    expect([isOver(walk), outcomeOf(walk)]).toEqual([true, 'succeeded']);
  });

  test('with a failed branch starts nothing more, lets the sibling end, and fails', () => {
    const walk = begin([...diamond, [2]]);
    takeReady(walk);
    endOperation(walk, 0, 'succeeded');
    takeReady(walk);
    endOperation(walk, 1, 'failed');
    expect([isOver(walk), running(walk)]).toEqual([false, [2]]);
    endOperation(walk, 2, 'succeeded');
    expect(takeReady(walk)).toEqual([]);
    expect([isOver(walk), outcomeOf(walk)]).toEqual([true, 'failed']);
    expect(walk.statuses).toEqual(['succeeded', 'failed', 'succeeded', 'waiting', 'waiting']);
  });

  test('a repeated or contrary ending changes nothing', () => {
    const walk = begin(diamond);
    takeReady(walk);
    endOperation(walk, 0, 'succeeded');
    const before = roundTrip(walk);
    for (const outcome of ['succeeded', 'failed', 'cancelled'] as const) endOperation(walk, 0, outcome);
    expect(walk).toEqual(before);
    expect(takeReady(walk)).toEqual([1, 2]);
  });

  test('an Operation that ended without being started here is not started', () => {
    const walk = begin([[], [], [1]]);
    endOperation(walk, 1, 'succeeded');
    expect(takeReady(walk)).toEqual([0, 2]);
  });

  test('a repeated dependency counts once', () => {
    const walk = begin([[], [0, 0, 0]]);
    takeReady(walk);
    endOperation(walk, 0, 'succeeded');
    expect(takeReady(walk)).toEqual([1]);
    expect(takeReady(walk)).toEqual([]);
  });
});

describe('outcomes', () => {
  test('a cancel starts nothing new and ends cancelled once what runs ended', () => {
    const walk = begin([[], [], [0]], 1);
    expect(takeReady(walk)).toEqual([0]);
    stopNew(walk);
    expect([takeReady(walk), isOver(walk)]).toEqual([[], false]);
    endOperation(walk, 0, 'abandoned');
    expect([isOver(walk), outcomeOf(walk)]).toEqual([true, 'cancelled']);
  });

  test('a cancel after the last Operation succeeded is too late', () => {
    const walk = begin([[]]);
    takeReady(walk);
    stopNew(walk);
    endOperation(walk, 0, 'succeeded');
    expect(outcomeOf(walk)).toBe('succeeded');
  });

  test('the first cause decides between failed and cancelled', () => {
    const failedFirst = begin([[], []]);
    takeReady(failedFirst);
    endOperation(failedFirst, 0, 'failed');
    stopNew(failedFirst);
    endOperation(failedFirst, 1, 'cancelled');
    expect(outcomeOf(failedFirst)).toBe('failed');
    const cancelledFirst = begin([[], []]);
    takeReady(cancelledFirst);
    stopNew(cancelledFirst);
    endOperation(cancelledFirst, 0, 'failed');
    endOperation(cancelledFirst, 1, 'cancelled');
    expect(outcomeOf(cancelledFirst)).toBe('cancelled');
  });

  test('an Agenda that stands still because of a circle is over and has not succeeded', () => {
    const walk = begin([[], [2], [1]]);
    expect(takeReady(walk)).toEqual([0]);
    endOperation(walk, 0, 'succeeded');
    expect([takeReady(walk), isOver(walk), outcomeOf(walk)]).toEqual([[], true, 'failed']);
  });

  test('a walk taken up again goes on from what ended, and stops if that had failed', () => {
    const dependencies = [[], [0], [1], []];
    const ended = (outcome: OperationOutcome) => [
      { index: 0, outcome: 'succeeded' as const },
      { index: 1, outcome },
    ];
    const good = beginWalk({ dependencies, ended: ended('succeeded'), parallelism: 9 });
    expect(takeReady(good)).toEqual([2, 3]);
    const bad = beginWalk({ dependencies, ended: ended('failed'), parallelism: 9 });
    expect([takeReady(bad), isOver(bad), outcomeOf(bad)]).toEqual([[], true, 'failed']);
    const all = beginWalk({ dependencies: [[]], ended: [{ index: 0, outcome: 'succeeded' }], parallelism: 9 });
    expect([isOver(all), outcomeOf(all)]).toEqual([true, 'succeeded']);
  });

  test('an index that does not exist is refused', () => {
    expect(() => begin([[1]])).toThrow(RangeError);
    expect(() => endOperation(begin([[]]), 1, 'succeeded')).toThrow(RangeError);
  });
});

describe('limits', () => {
  test('one call hands out a hundred at most, in declaration order', () => {
    const walk = begin(Array.from({ length: 300 }, () => []));
    expect(takeReady(walk)).toEqual([...Array(mostPerTake).keys()]);
    expect(takeReady(walk)).toHaveLength(100);
    expect(takeReady(walk)).toEqual([]);
    endOperation(walk, 150, 'succeeded');
    expect(takeReady(walk)).toEqual([200]);
    expect(running(walk)).toHaveLength(200);
  });

  test('10,000 Operations in a chain, a fan or a comb are walked to the end', () => {
    const count = 10_000;
    const shapes = [
      Array.from({ length: count }, (_, index) => (index === 0 ? [] : [index - 1])),
      Array.from({ length: count }, (_, index) =>
        index === 0 ? [] : index < count - 1 ? [0] : [...Array(count - 1).keys()],
      ),
      Array.from({ length: count }, (_, index) => (index % 2 === 0 ? (index === 0 ? [] : [index - 2]) : [index - 1])),
    ];
    for (const shape of shapes) {
      const walk = begin(shape);
      let started = 0;
      while (!isOver(walk)) {
        started += takeReady(walk).length;
        for (const index of running(walk)) endOperation(walk, index, 'succeeded');
      }
      expect([started, outcomeOf(walk)]).toEqual([count, 'succeeded']);
    }
  });

  test('an ending costs as much as it has successors', () => {
    // Every status read is counted: a join of 1,000 must not look at all its dependencies at each ending.
    const count = 1_000;
    let reads = 0;
    const walk = begin([...Array.from({ length: count }, () => []), [...Array(count).keys()]]);
    const counted: Walk = {
      ...walk,
      statuses: new Proxy(walk.statuses, {
        get: (statuses, key) => {
          reads += 1;
          return Reflect.get(statuses, key);
        },
      }),
    };
    for (let index = 0; index < count; index++) endOperation(counted, index, 'succeeded');
    expect(reads).toBeLessThan(count * 5);
    expect(takeReady(counted)).toEqual([count]);
  });
});

test('any DAG: each starts once its dependencies succeeded, within parallelism, also after continue-as-new', () => {
  fc.assert(
    fc.property(
      dag,
      fc.integer({ min: 1, max: 6 }),
      fc.infiniteStream(fc.nat()),
      fc.infiniteStream(fc.boolean()),
      (dependencies, parallelism, choices, trips) => {
        let walk = begin(dependencies, parallelism);
        const started: number[] = [];
        const succeeded = new Set<number>();
        const flight = new Set<number>();
        while (!isOver(walk)) {
          // Some walks cross a continue-as-new here; the others keep their object: both must meet the same conditions.
          if (trips.next().value) walk = roundTrip(walk);
          const startable = dependencies
            .map((_, index) => index)
            .filter(
              (index) =>
                !started.includes(index) &&
                (dependencies[index] ?? []).every((dependency) => succeeded.has(dependency)),
            );
          const taken = takeReady(walk);
          // No barrier: what could start and had room did, and in declaration order.
          expect(taken).toEqual(startable.slice(0, parallelism - flight.size));
          started.push(...taken);
          for (const index of taken) flight.add(index);
          expect(running(walk)).toEqual([...flight].sort((a, b) => a - b));
          const ending = [...flight][(choices.next().value as number) % flight.size] as number;
          endOperation(walk, ending, 'succeeded');
          if (trips.next().value) endOperation(walk, ending, 'failed');
          flight.delete(ending);
          succeeded.add(ending);
        }
        expect(new Set(started).size).toBe(started.length);
        expect(started).toHaveLength(dependencies.length);
        expect(outcomeOf(walk)).toBe('succeeded');
      },
    ),
    { numRuns: 400 },
  );
});

test('any DAG with failures: nothing starts after the first, and the outcome is never succeeded', () => {
  fc.assert(
    fc.property(
      dag,
      fc.integer({ min: 1, max: 6 }),
      fc.infiniteStream(fc.nat()),
      (dependencies, parallelism, choices) => {
        const walk = begin(dependencies, parallelism);
        let failed = false;
        while (!isOver(walk)) {
          const taken = takeReady(walk);
          if (failed) expect(taken).toEqual([]);
          const flight = running(walk);
          const ending = flight[(choices.next().value as number) % flight.length] as number;
          const outcome = (choices.next().value as number) % 4 === 0 ? 'failed' : 'succeeded';
          if (outcome === 'failed') failed = true;
          endOperation(walk, ending, outcome);
        }
        expect(outcomeOf(walk)).toBe(failed ? 'failed' : 'succeeded');
        expect(walk.statuses.includes('running')).toBe(false);
      },
    ),
    { numRuns: 300 },
  );
});

test('the heap gives the smallest first', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (values) => {
      const heap: number[] = [];
      for (const value of values) pushIndex(heap, value);
      expect(values.map(() => popSmallest(heap))).toEqual([...values].sort((a, b) => a - b));
      expect(popSmallest(heap)).toBeUndefined();
    }),
  );
});
