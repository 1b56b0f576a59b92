/** How long property tests run, and which failure they replay: see docs/scheduling.md. */
import fc from 'fast-check';

/** Decisions of all properties of a file together; `npm run test:properties` sets ten million. */
export const steps = Number(process.env.POP_PROPERTY_STEPS ?? 20_000);

/** Checks `holds` on histories made from a seed; a failure names the seed and how to replay it. */
export function forAllSeeds(stepsOfOne: number, holds: (seed: number) => void, part = 1): void {
  const replay = process.env.POP_PROPERTY_SEED;
  if (replay !== undefined) {
    holds(Number(replay));
    return;
  }
  const numRuns = Math.max(3, Math.ceil((steps * part) / stepsOfOne));
  fc.assert(
    fc.property(fc.noShrink(fc.integer()), (seed) => {
      try {
        holds(seed);
      } catch (error) {
        throw new Error(
          `replay with POP_PROPERTY_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`,
          {
            cause: error,
          },
        );
      }
    }),
    { numRuns },
  );
}
