/** The row of the parity table that a test of this name shows: `row 26: …`. */
export function rowOfTest(name: string): string | undefined {
  return /^row (X?\d+): /.exec(name)?.[1];
}
