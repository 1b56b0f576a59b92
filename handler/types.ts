/**
 * What goes in and comes out of a handler. The same as in agenda/types.ts; said again, for this folder stands alone
 * (types.test.ts).
 */

/** Whatever JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Something worth telling about a failure. Times are epoch milliseconds. */
export interface DiagnosticEvent {
  readonly message: string;
  readonly statusCode?: number;
  /** Stable machine word, such as `noSource`. */
  readonly code?: string;
  readonly time?: number;
  readonly stackTrace?: string;
  readonly payload?: Json;
}
