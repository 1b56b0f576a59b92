/** What is handed to a handler in environment variables. */

/** Most bytes that go into one variable; Linux takes 128 KiB in one string. */
export const maximumVariableBytes = 64 * 1024;

/**
 * Most characters of a compressed payload in all its variables. Linux takes 2 MiB of arguments and variables together
 * (a quarter of the stack), and a cluster keeps a Pod of 1.5 MiB: the rest is for the other variables.
 */
export const maximumCompressedCharacters = 1_250_000;

/** Whether one variable holds it as JSON. */
export function fitsVariable(value: unknown): boolean {
  return Buffer.byteLength(JSON.stringify(value)) <= maximumVariableBytes;
}

const mostInWords = `${maximumVariableBytes} bytes as JSON`;

/** Said of a registry field that does not fit. */
export const tooLargeForVariable = `takes more than ${mostInWords}, and is handed over in one variable`;
