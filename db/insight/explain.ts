/**
 * Why an Agenda waits: what stands in its way, who goes before it, how its customer stands and when it may start. Four short reads at most,
 * each bounded whatever waits: where few wait the core puts them in order and the position is exact, else it is counted as far as that is
 * cheap and reckoned from shares beyond; `positionIs` says which.
 */
import { algorithmNames } from '../../scheduling/index.ts';
import { amountsOf, amountsOfKey, fits, fitsSum } from '../../scheduling/need.ts';
import type { ExplanationCode, Resources } from '../../scheduling/scheduler.ts';
import { type AdmissionRow, readAdmission } from '../admission/admission-record.ts';
import type { Database } from '../connect.ts';
import { type Place, readPlace } from './agenda-position.ts';
import {
  type Entitlement,
  entitledIn,
  freeOf,
  type InsightStanding,
  isAtLimit,
  readOwnEntitlements,
  readStanding,
  recentSeconds,
} from './insight-standing.ts';
import { type WaitingRow, waitingColumns } from './waiting-order.ts';

/** What stands in the way, beyond what a scheduler knows of. */
export type WaitingCode = Exclude<ExplanationCode, 'unknown'> | 'ended' | 'notQueued' | 'notBefore' | 'rateLimit';

/** What there is to say; absent parts do not apply. */
export interface AgendaExplanation {
  readonly agendaId: string;
  readonly code: WaitingCode;
  readonly sentence: string;
  readonly place?: Place;
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
  readonly leftQueue: boolean;
}

/** Undefined when there is no such Agenda. Whether the caller may see it was asked before. */
export async function explainAgenda(parts: ExplainParts, agendaId: string): Promise<AgendaExplanation | undefined> {
  const { database } = parts;
  const sql = database.$client;
  const [[agenda], [waiting]] = await Promise.all([
    sql<AgendaState[]>`
      /* explain: Agenda */
      select a.customer_id as "customerId", a.insight_id as "insightId", a.resource_pool_id as "resourcePoolId", a.attempt,
        p.processing_state as state, p.processing_state_message as message, r.agenda_id is not null as runs,
        r.left_queue_time is not null as "leftQueue"
      from agenda a join agenda_progress p on p.agenda_id = a.id left join running_agenda r on r.agenda_id = a.id
      where a.id = ${agendaId}`,
    sql<(WaitingRow & { isDue: boolean })[]>`
      /* explain: waiting */
      select ${waitingColumns(sql)}, r.is_due or r.ready_time <= clock_timestamp() as "isDue" from ready_agenda r where r.agenda_id = ${agendaId}`,
  ]);
  if (agenda === undefined) return undefined;
  if (waiting === undefined || agenda.runs) return notWaiting(parts, agendaId, agenda);
  const [standing, own, workers] = await Promise.all([
    readStanding(database, agenda.insightId),
    readOwnEntitlements(database, agenda.insightId, [agenda.customerId]),
    parts.countPoolWorkers?.(agenda.resourcePoolId),
  ]);
  if (standing === undefined) return { agendaId, code: 'noAlgorithm', sentence: 'Its Insight is gone.' };
  const entitlement = entitledIn(standing, own).get(agenda.customerId) as Entitlement;
  const place = algorithmNames().includes(standing.algorithm)
    ? await readPlace(database, standing, waiting, entitlement)
    : undefined;
  const { code, sentence } = obstacle({ standing, entitlement, waiting, place, workers });
  const start = estimatedStart(code, standing, waiting, place);
  return {
    ...{ agendaId, code, standing, entitlement, waiting },
    sentence: place === undefined || silent.has(code) ? sentence : `${sentence}${linePart(code, place)}`,
    ...(place === undefined ? {} : { place }),
    ...(start === undefined ? {} : { estimatedStart: start }),
  };
}

async function notWaiting(
  { database, countPoolWorkers }: ExplainParts,
  agendaId: string,
  agenda: AgendaState,
): Promise<AgendaExplanation> {
  const [standing, admission, workers] = await Promise.all([
    readStanding(database, agenda.insightId),
    readAdmission(database, agendaId, agenda.attempt),
    agenda.runs && !agenda.leftQueue ? countPoolWorkers?.(agenda.resourcePoolId) : undefined,
  ]);
  const common = {
    agendaId,
    ...(standing === undefined ? {} : { standing }),
    ...(admission === undefined ? {} : { admission }),
  };
  if (agenda.runs) {
    if (agenda.leftQueue) return { ...common, code: 'running', sentence: 'It is running.' };
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
  readonly place: Place | undefined;
  readonly workers: number | undefined;
}

interface Obstacle {
  readonly code: WaitingCode;
  readonly sentence: string;
}

/** Of these the place in line is not worth a word. */
const silent: ReadonlySet<WaitingCode> = new Set(['next', 'ahead', 'noAlgorithm', 'neverFits', 'notBefore']);

/** What stands in the way: first what somebody has to do something about, then limits from the narrowest to the widest, then the line. */
function obstacle(facts: Facts): Obstacle {
  return somebodyMustAct(facts) ?? limitReached(facts) ?? inLine(facts);
}

function somebodyMustAct({ standing, entitlement, waiting, workers }: Facts): Obstacle | undefined {
  if (entitlement.paused) return { code: 'paused', sentence: `Customer ${entitlement.customerId} is paused.` };
  if (standing.paused) return { code: 'insightPaused', sentence: 'Its Insight is paused.' };
  if (standing.queueSize === 0) return { code: 'insightPaused', sentence: 'Its Insight is paused: queueSize is 0.' };
  if (standing.poolPaused) return { code: 'insightPaused', sentence: 'Its ResourcePool is paused.' };
  if (!algorithmNames().includes(standing.algorithm)) {
    return {
      code: 'noAlgorithm',
      sentence: `Its Insight names the algorithm ${standing.algorithm}, which is not there.`,
    };
  }
  if (!fitsSum(amountsOfKey(waiting.need), amountsOf(standing.capacity))) {
    return {
      code: 'neverFits',
      sentence: `It needs more than the whole pool has: ${tooLittle(amountsOfKey(waiting.need), standing.capacity)
        .map((name) => `${amountsOfKey(waiting.need)[name]} ${name} of ${standing.capacity[name]}`)
        .join('; ')}.`,
    };
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
  const { running, inQueue, queueSize, maximumRunning, maximum, admissionsPerSecond: rate } = standing;
  if (isAtLimit(entitlement)) return { code: 'customerLimit', sentence: customerLimitSentence(entitlement) };
  if (running >= (maximumRunning ?? Number.POSITIVE_INFINITY)) {
    return {
      code: 'insightLimit',
      sentence: `${running} of at most ${maximumRunning} Agendas run through its Insight.`,
    };
  }
  const need = amountsOfKey(waiting.need);
  if (maximum !== null && standing.slots + need.slots > maximum) {
    return {
      code: 'insightLimit',
      sentence: `Agendas of its Insight hold ${standing.slots} of at most ${maximum} slots.`,
    };
  }
  if (inQueue >= queueSize) {
    return {
      code: 'queueFull',
      sentence: `${inQueue} of at most ${queueSize} admitted Agendas still wait for a pool worker to start them.`,
    };
  }
  if (rate !== null && standing.inRateSpan >= Math.ceil(rate)) {
    return { code: 'rateLimit', sentence: `Its Insight admits at most ${rate} a second.` };
  }
  const free = freeOf(standing);
  if (!fits(need, amountsOf(free))) {
    const heldForIt = standing.held?.agendaId === waiting.agendaId ? '; capacity is held for it' : '';
    return {
      code: 'poolFull',
      sentence: `What it needs is not free: ${shortOf(need, free, standing.capacity)}${heldForIt}.`,
    };
  }
  const { part, slots } = standing;
  if (part !== null && slots + need.slots > part) {
    const sentence = `Its Insight holds ${round(slots)} of the ${round(part)} slots that are its part of the pool while other Insights want theirs.`;
    return { code: 'poolFull', sentence };
  }
  return undefined;
}

function inLine({ standing, waiting, place }: Facts): Obstacle {
  const held = standing.held ?? standing.heldElsewhere;
  if (held !== null && held.agendaId !== waiting.agendaId) {
    const where = held.insightId === standing.id ? 'an Agenda before it' : 'an Agenda of another Insight';
    return { code: 'reservation', sentence: `Capacity is held for ${where}, which needs more than is free.` };
  }
  if (place === undefined || place.ahead === 0) return { code: 'next', sentence: 'It is the next one.' };
  return { code: 'ahead', sentence: `${countsOf(place)} before it.` };
}

function customerLimitSentence({
  customerId,
  running,
  maximumRunning,
  runningEverywhere,
  maximumEverywhere,
}: Entitlement): string {
  return running >= (maximumRunning ?? Number.POSITIVE_INFINITY)
    ? `Customer ${customerId} runs ${running} of at most ${maximumRunning} Agendas in this Insight.`
    : `Customer ${customerId} runs ${runningEverywhere} of at most ${maximumEverywhere} Agendas.`;
}

/** Of a person's reading: how many, and how sure that is. */
function countsOf({ ahead, aheadOfCustomer, positionIs }: Place): string {
  const how = { exact: '', estimate: 'About ', atLeast: 'At least ' }[positionIs];
  return `${how}${ahead} ${ahead === 1 ? 'Agenda goes' : 'Agendas go'}, ${aheadOfCustomer} of its own customer,`;
}

function linePart(code: WaitingCode, place: Place): string {
  const blocked = code === 'paused' || code === 'customerLimit';
  if (place.ahead === 0) return blocked ? '' : ' It is then the next one.';
  return ` ${countsOf(place)} before it.`;
}

/** Names of what there is too little of. */
function tooLittle(need: Resources, has: Resources): (keyof Resources)[] {
  return (Object.keys(need) as (keyof Resources)[]).filter(
    (name) => (need[name] ?? 0) > (has[name] ?? Number.POSITIVE_INFINITY),
  );
}

function shortOf(need: Resources, free: Resources, whole: Resources): string {
  const parts = tooLittle(need, free).map(
    (name) => `${need[name]} ${name}, and ${round(Math.max(0, free[name] ?? 0))} of ${whole[name]} are`,
  );
  return parts.join('; ');
}

/** Of these nobody can say when they end. */
const withoutEnd: ReadonlySet<WaitingCode> = new Set([
  'paused',
  'insightPaused',
  'noAlgorithm',
  'neverFits',
  'poolHasNoWorkers',
  'customerLimit',
]);

/** At the rate of late, which takes in that nothing was admitted since. */
function estimatedStart(code: WaitingCode, standing: InsightStanding, waiting: WaitingRow, place: Place | undefined) {
  const { recent } = standing;
  if (withoutEnd.has(code) || place === undefined || recent.count < 2 || !(recent.seconds > 0)) return undefined;
  const rate = recent.count / recent.seconds;
  const inLineSeconds = place.position / rate;
  const seconds = Math.max(inLineSeconds, waiting.readyTime - standing.now);
  const span = recent.seconds >= recentSeconds * 0.99 ? `${recentSeconds / 60} minutes` : `${round(recent.seconds)} s`;
  const sure = {
    exact: 'its place in line',
    estimate: 'its place in line as estimated',
    atLeast: 'the least number before it',
  }[place.positionIs];
  return {
    time: Math.round((standing.now + seconds) * 1000),
    seconds: round(seconds),
    basis: `${recent.count} Agendas were admitted in the last ${span}; ${sure} is ${place.position}.`,
  };
}

const round = (value: number): number => Math.round(value * 1000) / 1000;
