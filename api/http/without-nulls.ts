/** `T` whose members that may be null or undefined are optional instead. */
export type WithoutNulls<T> = {
  [K in keyof T as T[K] extends NonNullable<unknown> ? K : never]: T[K];
} & {
  [K in keyof T as T[K] extends NonNullable<unknown> ? never : K]?: Exclude<T[K], null | undefined>;
};

/**
 * The object without members that are null or undefined: in requests null counts as absent, and answers leave it out.
 * Looks at the outermost level only.
 */
export function withoutNulls<T extends object>(object: T): WithoutNulls<T> {
  const kept = Object.entries(object).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(kept) as WithoutNulls<T>;
}
