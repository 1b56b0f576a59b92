/**
 * Sets what this process takes for the time of day. Timers and `performance.now()` run on as they are: they tell no
 * time of day.
 */
export function setClockAhead(seconds: number): void {
  if (seconds === 0) return;
  const milliseconds = seconds * 1000;
  const Real = Date;
  globalThis.Date = new Proxy(Real, {
    construct: (target, given, newTarget) =>
      Reflect.construct(target, given.length === 0 ? [Real.now() + milliseconds] : given, newTarget),
    apply: () => new globalThis.Date().toString(),
    get: (target, property, receiver) =>
      property === 'now' ? () => Real.now() + milliseconds : Reflect.get(target, property, receiver),
  });
  const origin = performance.timeOrigin + milliseconds;
  Object.defineProperty(performance, 'timeOrigin', { get: () => origin });
}
