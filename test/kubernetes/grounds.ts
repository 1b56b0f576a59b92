/** The two kinds of nodes that a test may have its Pods on, for what must hold on both. */
import { busyboxImage } from './images.ts';
import { onPaper } from './pod-launcher.ts';
import { clusterTest, realNodeTest } from './shared-cluster.ts';

/** Where Pods are, and registry fields that make them do something there. */
export interface Ground {
  readonly kind: 'kwok' | 'real';
  readonly test: typeof clusterTest;
  /** For ever, and ends soon when it is asked to. */
  readonly runs: object;
  /** For ever, and does not end when it is asked to before its grace is over. */
  readonly staysOn: object;
  /** Is never started. */
  readonly waits: object;
  /** So many seconds, then succeeds with this text as its result. */
  readonly gives: (result: string, seconds?: number) => object;
  /** Longest time from a Pod's creation to its start, in seconds. */
  readonly startSeconds: number;
}

const shell = (script: string) => ({
  ...{ runAsUser: 1000, cpuMinRequestCount: '10m', imageName: busyboxImage },
  command: ['sh', '-c', script],
});
const forever = 'while :; do sleep 0.1; done';

/** Nothing runs: how it goes is written on the Pods. */
const paper: Ground = {
  kind: 'kwok',
  test: clusterTest,
  runs: onPaper({ 'run-for': 'never' }),
  staysOn: onPaper({ 'run-for': 'never', 'stop-takes': '1h' }),
  waits: onPaper({ 'start-after': '1h' }),
  gives: (result, seconds = 0) => onPaper({ message: JSON.stringify(result), 'run-for': `${seconds}s` }),
  startSeconds: 1,
};

/** A kubelet runs them. */
const real: Ground = {
  kind: 'real',
  test: realNodeTest,
  runs: shell(`trap 'exit 143' TERM; ${forever}`),
  staysOn: { ...shell(`trap '' TERM; ${forever}`), graceSeconds: 60 },
  waits: { ...shell('true'), imageName: '127.0.0.1:1/none:1' },
  gives: (result, seconds = 0) => shell(`sleep ${seconds}; printf '"${result}"' > "$POP_RESULT_FILE"`),
  startSeconds: 8,
};

/** Both of them. */
export const grounds: readonly Ground[] = [paper, real];
