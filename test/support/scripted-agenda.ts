/**
 * An Agenda as a script, for tests of the agenda workflow: activities that answer at once from memory, and note each
 * call.
 */
import type { OperationOutcome } from '../../agenda/outcomes.ts';
import type {
  ControlActivities,
  LoadPlanAnswer,
  OperationKey,
  Plan,
  PlanPiece,
  PlanPosition,
  PoolActivities,
} from '../../workflows/activities.ts';

/** One Operation of a scripted Agenda. */
export interface ScriptedOperation {
  readonly name: string;
  readonly type?: string;
  readonly after?: readonly string[];
  /**
   * The run of the Operation. The returned outcome becomes the ending in the record; undefined leaves it executing.
   * Default: succeeds.
   */
  readonly run?: () => Promise<OperationOutcome | undefined> | OperationOutcome | undefined;
  /** Whether a stop is confirmed. */
  readonly stop?: () => Promise<boolean> | boolean;
}

/** The activities of the control worker that a scripted Agenda answers. */
export type ScriptedSteps = Pick<
  ControlActivities,
  'loadPlan' | 'loadPlanPiece' | 'settleOperations' | 'runResident' | 'requestCancel' | 'finishAgenda'
>;

/** Answers the activities of one Agenda from memory. */
export class ScriptedAgenda {
  /** Every call in order: `run a`, `settle a without failed (fault)`, `finish succeeded`. */
  readonly calls: string[] = [];
  /** What the pool was asked to run. */
  readonly asked: OperationKey[] = [];
  readonly states: ('waiting' | 'executing' | OperationOutcome)[];
  readonly #operations: readonly ScriptedOperation[];
  readonly #plan: Partial<Plan>;
  readonly #pieces: readonly PlanPosition[];

  /** `pieces`: where the plan is cut; it comes whole without. */
  constructor(
    operations: readonly ScriptedOperation[],
    { pieces = [], ...plan }: Partial<Plan> & { readonly pieces?: readonly PlanPosition[] } = {},
  ) {
    this.#operations = operations;
    this.#plan = plan;
    this.#pieces = [{ operation: 0, dependency: 0 }, ...pieces];
    this.states = operations.map(() => 'waiting');
  }

  get plan(): Plan {
    const names = this.#operations.map(({ name }) => name);
    return {
      ...{
        resourcePoolId: 'test',
        customerId: 'customer',
        ended: [],
        parallelism: 200,
        heartbeatSeconds: 2,
        cancelSeconds: 120,
      },
      names,
      types: this.#operations.map(({ type = 'sample' }) => type),
      dependencies: this.#operations.map(({ after = [] }) => after.map((name) => names.indexOf(name))),
      startToCloseSeconds: names.map(() => 60),
      ...this.#plan,
    };
  }

  /** The steps of the control worker; a test replaces single ones. */
  readonly control: ScriptedSteps = {
    loadPlan: async (): Promise<LoadPlanAnswer> => {
      this.calls.push('load');
      const { from, more, ...first } = this.#piece(0);
      return { verdict: 'run', plan: { ...this.plan, ...first }, ...(more === undefined ? {} : { more }) };
    },
    loadPlanPiece: async ({ from }) => {
      this.calls.push(`load from ${from.operation}.${from.dependency}`);
      return this.#piece(this.#pieces.findIndex((piece) => JSON.stringify(piece) === JSON.stringify(from)));
    },
    settleOperations: async ({ operations }) => {
      for (const { index, without, fault } of operations) {
        const why = fault === undefined ? '' : ` (${fault})`;
        this.calls.push(`settle ${this.plan.names[index]}${without === undefined ? '' : ` without ${without}`}${why}`);
        const state = this.states[index];
        if (without !== undefined && (state === 'waiting' || state === 'executing')) this.states[index] = without;
      }
      return operations.map(({ index }) => ({ index, outcome: this.states[index] ?? 'waiting' }));
    },
    runResident: ({ operation }) => this.#run('resident', operation),
    requestCancel: async () => void this.calls.push('request cancel'),
    finishAgenda: async ({ outcome, message }) => {
      this.calls.push(`finish ${outcome}${message === undefined ? '' : ` (${message})`}`);
      return { outcome };
    },
  };

  /** The activities of its pool. */
  readonly pool: Omit<PoolActivities, 'reapPods'> = {
    runOperation: (key) => {
      this.asked.push(key);
      return this.#run('run', key.operation);
    },
    stopOperation: async ({ operation }) => {
      this.calls.push(`stop ${operation}`);
      const stopped = (await this.#operations.find(({ name }) => name === operation)?.stop?.()) ?? true;
      return { stopped };
    },
  };

  #piece(n: number): PlanPiece {
    const { names, types, dependencies, ended, startToCloseSeconds } = this.plan;
    const [from = { operation: 0, dependency: 0 }, more] = this.#pieces.slice(n);
    const end = more === undefined ? names.length : more.operation + (more.dependency > 0 ? 1 : 0);
    const inPiece = <T>(values: readonly T[]) => values.slice(from.operation, end);
    return {
      ...{ from, names: inPiece(names), types: inPiece(types), startToCloseSeconds: inPiece(startToCloseSeconds) },
      dependencies: inPiece(dependencies).map((list, position) => {
        const index = from.operation + position;
        const upTo = index === more?.operation ? more.dependency : list.length;
        return list.slice(index === from.operation ? from.dependency : 0, upTo);
      }),
      ended: ended.filter(({ index }) => index >= from.operation && index < end),
      ...(more === undefined ? {} : { more }),
    };
  }

  async #run(how: string, operation: string): Promise<void> {
    this.calls.push(`${how} ${operation}`);
    const index = this.#operations.findIndex(({ name }) => name === operation);
    const { run = () => 'succeeded' as const } = this.#operations[index] ?? {};
    this.states[index] = 'executing';
    const outcome = await run();
    if (outcome !== undefined) this.states[index] = outcome;
  }
}
