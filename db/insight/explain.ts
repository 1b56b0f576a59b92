/**
 * Why an Agenda waits: what stands in its way, who goes before it, how its customer stands and when it may start. Four
 * short reads at most, each bounded whatever waits. Where few wait, the core puts them in order and the position is
 * exact. Where many wait, it is counted as far as that is cheap, and reckoned from shares beyond; `positionIs` says
 * which.
 */
import { algorithmNames } from '../../scheduling/index.ts';
import { amountsOf, amountsOfKey, fitsSum, needOf } from '../../scheduling/need.ts';
import type { ExplanationCode } from '../../scheduling/scheduler.ts';
import { type AdmissionRow, readAdmission } from '../admission/admission-record.ts';
import { joinLearned, type WaitingRow, waitingColumns } from '../admission/heads.ts';
import { pausedBy, reachedByCustomer, reachedLimit, tooLittle } from '../admission/limits.ts';
import type { Database } from '../connect.ts';
import { type AgendaPosition, readPosition } from './agenda-position.ts';
import {
  type Entitlement,
  entitledIn,
  type InsightStanding,
  readOwnEntitlements,
  readStanding,
  recentSeconds,
} from './insight-standing.ts';

/** What stands in the way, beyond what a scheduler knows of. */
export type WaitingCode = Exclude<ExplanationCode, 'unknown'> | 'ended' | 'notQueued' | 'notBefore' | 'rateLimit';

/** All that is to be said of an Agenda; absent parts do not apply. */
export interface AgendaExplanation {
  readonly agendaId: string;
  readonly code: WaitingCode;
  readonly sentence: string;
  readonly inLine?: AgendaPosition;
  readonly entitlement?: Entitlement;
  readonly standing?: InsightStanding;
  readonly waiting?: WaitingRow & { readonly isDue: boolean };
  readonly admission?: AdmissionRow;
  /** Epoch milliseconds. */
  readonly estimatedStart?: { readonly time: number; readonly seconds: number; readonly basis: string };
}

/** What an explanation is made from. */
export interface ExplainParts {
  readonly database: Database;
  /** Pool workers that poll for this ResourcePool; undefined when that is not known. */
  readonly countPoolWorkers?: ((resourcePoolId: string) => Promise<number | undefined>) | undefined;
}

interface AgendaState {
  readonly customerId: string;
  readonly insightId: string;
  readonly resourcePoolId: string;
  readonly attempt: number;
  readonly state: string;
  readonly message: string;
  readonly runs: boolean;
  /** Its first Operation was started. */
  readonly isStarted: boolean;
}

/** Explains one Agenda. Undefined when there is no such Agenda. Whether the caller may see it was asked before. */
export async function explainAgenda(parts: ExplainParts, agendaId: string): Promise<AgendaExplanation | undefined> {
  const { database } = parts;
  const [agenda, waiting] = await Promise.all([readState(database, agendaId), readWaiting(database, agendaId)]);
  if (agenda === undefined) return undefined;
  if (waiting === undefined || agenda.runs) return notWaiting(parts, agendaId, agenda);
  const [standing, own, workers] = await Promise.all([
    readStanding(database, agenda.insightId),
    readOwnEntitlements(database, agenda.insightId, [agenda.customerId]),
    parts.countPoolWorkers?.(agenda.resourcePoolId),
  ]);
  if (standing === undefined) return { agendaId, code: 'noAlgorithm', sentence: 'Its Insight is gone.' };
  const entitlement = entitledIn(standing, own).get(agenda.customerId) as Entitlement;
  const inLine = algorithmNames().includes(standing.algorithm)
    ? await readPosition(database, standing, waiting, entitlement)
    : undefined;
  const { code, sentence } = obstacle({ standing, entitlement, waiting, inLine, workers });
  const start = estimatedStart(code, standing, waiting, inLine);
  return {
    agendaId,
    code,
    standing,
    entitlement,
    waiting,
    sentence: inLine === undefined || silent.has(code) ? sentence : `${sentence}${linePart(code, inLine)}`,
    ...(inLine === undefined ? {} : { inLine }),
    ...(start === undefined ? {} : { estimatedStart: start }),
  };
}

async function readState(database: Database, agendaId: string): Promise<AgendaState | undefined> {
  const [agenda] = await database.$client<AgendaState[]>`
    /* explain: Agenda */
    select
      a.customer_id as "customerId",
      a.insight_id as "insightId",
      a.resource_pool_id as "resourcePoolId",
      a.attempt,
      p.processing_state as state,
      p.processing_state_message as message,
      r.agenda_id is not null as runs,
      r.left_queue_time is not null as "isStarted"
    from agenda a
      join agenda_progress p on p.agenda_id = a.id
      left join running_agenda r on r.agenda_id = a.id
    where a.id = ${agendaId}`;
  return agenda;
}

async function readWaiting(
  database: Database,
  agendaId: string,
): Promise<(WaitingRow & { isDue: boolean }) | undefined> {
  const sql = database.$client;
  const [waiting] = await sql<(WaitingRow & { isDue: boolean })[]>`
    /* explain: waiting */
    select ${waitingColumns(sql)}, r.is_due or r.ready_time <= clock_timestamp() as "isDue"
    from ready_agenda r
      ${joinLearned(sql, sql`r.insight_id`)}
    where r.agenda_id = ${agendaId}`;
  return waiting;
}

async function notWaiting(
  { database, countPoolWorkers }: ExplainParts,
  agendaId: string,
  agenda: AgendaState,
): Promise<AgendaExplanation> {
  const [standing, admission, workers] = await Promise.all([
    readStanding(database, agenda.insightId),
    readAdmission(database, agendaId, agenda.attempt),
    agenda.runs && !agenda.isStarted ? countPoolWorkers?.(agenda.resourcePoolId) : undefined,
  ]);
  const common = {
    agendaId,
    ...(standing === undefined ? {} : { standing }),
    ...(admission === undefined ? {} : { admission }),
  };
  if (agenda.runs) {
    if (agenda.isStarted) return { ...common, code: 'running', sentence: 'It is running.' };
    const nobody = workers === 0 ? ' None is there.' : '';
    return {
      ...common,
      code: 'running',
      sentence: `It is admitted and waits for a pool worker to start its first Operation.${nobody}`,
    };
  }
  if (agenda.state === 'COMPLETE') return { ...common, code: 'ended', sentence: `It has ended: ${agenda.message}.` };
  return { ...common, code: 'notQueued', sentence: 'It is stored and not queued: it was submitted with doNotRun.' };
}

interface Facts {
  readonly standing: InsightStanding;
  readonly entitlement: Entitlement;
  readonly waiting: WaitingRow & { readonly isDue: boolean };
  readonly inLine: AgendaPosition | undefined;
  readonly workers: number | undefined;
}

interface Obstacle {
  readonly code: WaitingCode;
  readonly sentence: string;
}

/** With these codes the position in line is not worth a word. */
const silent: ReadonlySet<WaitingCode> = new Set(['next', 'ahead', 'noAlgorithm', 'neverFits', 'notBefore']);

/** First what somebody has to do something about, then limits from the narrowest to the widest, then the line. */
function obstacle(facts: Facts): Obstacle {
  return somebodyMustAct(facts) ?? limitReached(facts) ?? behindOthers(facts);
}

function somebodyMustAct({ standing, entitlement, waiting, workers }: Facts): Obstacle | undefined {
  if (entitlement.paused) return { code: 'paused', sentence: `Customer ${entitlement.customerId} is paused.` };
  const pause = pausedBy(standing);
  if (pause !== undefined) return { code: 'insightPaused', sentence: pause };
  if (!algorithmNames().includes(standing.algorithm)) {
    return {
      code: 'noAlgorithm',
      sentence: `Its Insight names the algorithm ${standing.algorithm}, which is not there.`,
    };
  }
  const [need, whole] = [amountsOfKey(waiting.need), amountsOf(standing.capacity)];
  if (!fitsSum(need, whole)) {
    const short = tooLittle(need, whole).map((name) => `${need[name]} ${name} of ${whole[name]}`);
    return { code: 'neverFits', sentence: `It needs more than the whole pool has: ${short.join('; ')}.` };
  }
  if (workers === 0)
    return { code: 'poolHasNoWorkers', sentence: `No pool worker of ${standing.resourcePoolId} is there.` };
  if (!waiting.isDue)
    return {
      code: 'notBefore',
      sentence: `It is not to start before ${new Date(waiting.readyTime * 1000).toISOString()}.`,
    };
  return undefined;
}

function limitReached({ standing, entitlement, waiting }: Facts): Obstacle | undefined {
  const ofCustomer = reachedByCustomer(entitlement.customerId, entitlement);
  if (ofCustomer !== undefined) return ofCustomer;
  // What others hold capacity for is told apart, by name: see `behindOthers`.
  const isHeldFor = standing.held?.agendaId === waiting.agendaId;
  return reachedLimit({ ...standing, heldElsewhere: needOf({}) }, { need: amountsOfKey(waiting.need), isHeldFor });
}

function behindOthers({ standing, waiting, inLine }: Facts): Obstacle {
  const held = standing.held ?? standing.heldElsewhere;
  if (held !== null && held.agendaId !== waiting.agendaId) {
    const where = held.insightId === standing.id ? 'an Agenda before it' : 'an Agenda of another Insight';
    return { code: 'reservation', sentence: `Capacity is held for ${where}, which needs more than is free.` };
  }
  if (inLine === undefined || inLine.ahead === 0) return { code: 'next', sentence: 'It is the next one.' };
  return { code: 'ahead', sentence: `${countsOf(inLine)} before it.` };
}

/** How many go before it, and how sure that is, for people. */
function countsOf({ ahead, aheadOfCustomer, positionIs }: AgendaPosition): string {
  const how = { exact: '', estimate: 'About ', atLeast: 'At least ' }[positionIs];
  return `${how}${ahead} ${ahead === 1 ? 'Agenda goes' : 'Agendas go'}, ${aheadOfCustomer} of its own customer,`;
}

function linePart(code: WaitingCode, inLine: AgendaPosition): string {
  const blocked = code === 'paused' || code === 'customerLimit';
  if (inLine.ahead === 0) return blocked ? '' : ' It is then the next one.';
  return ` ${countsOf(inLine)} before it.`;
}

/** Nobody can say when these end. */
const withoutEnd: ReadonlySet<WaitingCode> = new Set([
  'paused',
  'insightPaused',
  'noAlgorithm',
  'neverFits',
  'poolHasNoWorkers',
  'customerLimit',
]);

/** Reckoned at the rate of late; time since the last admission lowers that rate. */
function estimatedStart(
  code: WaitingCode,
  standing: InsightStanding,
  waiting: WaitingRow,
  inLine: AgendaPosition | undefined,
) {
  const { recent } = standing;
  if (withoutEnd.has(code) || inLine === undefined || recent.count < 2 || !(recent.seconds > 0)) return undefined;
  const rate = recent.count / recent.seconds;
  const inLineSeconds = inLine.position / rate;
  const seconds = Math.max(inLineSeconds, waiting.readyTime - standing.now);
  const span = recent.seconds >= recentSeconds * 0.99 ? `${recentSeconds / 60} minutes` : `${round(recent.seconds)} s`;
  const sure = {
    exact: 'its place in line',
    estimate: 'its place in line as estimated',
    atLeast: 'the least number before it',
  }[inLine.positionIs];
  return {
    time: Math.round((standing.now + seconds) * 1000),
    seconds: round(seconds),
    basis: `${recent.count} Agendas were admitted in the last ${span}; ${sure} is ${inLine.position}.`,
  };
}

const round = (value: number): number => Math.round(value * 1000) / 1000;
