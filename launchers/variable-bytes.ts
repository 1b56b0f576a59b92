/** What is handed to a handler in one environment variable. */

/** Most bytes that go into one variable; Linux takes 128 KiB in one string. */
export const maximumVariableBytes = 64 * 1024;

/** Whether one variable holds it as JSON. */
export function fitsVariable(value: unknown): boolean {
  return Buffer.byteLength(JSON.stringify(value)) <= maximumVariableBytes;
}

const mostInWords = `${maximumVariableBytes} bytes as JSON`;

/** Said of a registry field that does not fit. */
export const tooLargeForVariable = `takes more than ${mostInWords}, and is handed over in one variable`;
