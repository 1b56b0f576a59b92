/** Operation types that the control worker performs itself, without a pool worker: every pool has them. */
export const residentTypes: readonly string[] = ['logMessages'];
