/** What an api process counts of its requests, as metrics of its process. */
import { Histogram, type Registry } from 'prom-client';

/** What an api process counts of its requests. */
export interface RequestMetrics {
  request(request: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly seconds: number;
  }): void;
}

/** Adds them, and returns who is to be told. */
export function addRequestMetrics(registry: Registry): RequestMetrics {
  const seconds = new Histogram({
    name: 'pop_http_request_seconds',
    help: 'How long requests took, long polls included.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
    registers: [registry],
  });
  return {
    request: ({ method, route, status, seconds: took }) =>
      seconds.observe({ method, route, status: `${Math.floor(status / 100)}xx` }, took),
  };
}
