/** Agendas over HTTP: submit, check, list, read, cancel. Each function answers the endpoint of its name. */
import { createHash } from 'node:crypto';
import { quoted } from '../../agenda/cut.ts';
import { type Agenda, maximumIdBytes } from '../../agenda/types.ts';
import { readAdmission } from '../../db/admission/admission-record.ts';
import { cancelAgenda } from '../../db/agenda/cancel-agenda.ts';
import { insightForAgenda } from '../../db/agenda/choose-insight.ts';
import { listAgendas } from '../../db/agenda/list-agenda.ts';
import { readOperations } from '../../db/agenda/read-agenda.ts';
import { submitAgenda } from '../../db/agenda/submit-agenda.ts';
import type { Refused } from '../../db/agenda/submit-answer.ts';
import { type Access, mayActFor, visibilityOf } from '../auth/authorize.ts';
import { type Api, type ApiParts, addEndpoint, type CallOf } from '../http/endpoint.ts';
import { onlyFields } from '../http/list-fields.ts';
import { badParameter, conflict, invalid, ProblemError } from '../http/problem.ts';
import { admissionView } from './admission-view.ts';
import * as described from './agenda-descriptions.ts';
import { agendaView, operationOfRow, submittedAgendaView, type View } from './agenda-view.ts';
import { checkAgenda } from './check-agenda.ts';
import { uncheckedWarning, withKnownTypes } from './unknown-types.ts';
import { visibleAgenda } from './visible-agenda.ts';

/** Adds the endpoints of Agendas themselves. */
export function addAgendaRoutes(api: Api, parts: ApiParts): void {
  addEndpoint(api, parts, described.submit, submit);
  addEndpoint(api, parts, described.validate, validate);
  addEndpoint(api, parts, described.list, list);
  addEndpoint(api, parts, described.read, read);
  addEndpoint(api, parts, described.cancel, cancel);
}

async function submit(call: CallOf<typeof described.submit>, parts: ApiParts): Promise<Response> {
  const { c, access, cid, log, body, bodyText, unknownFields, warnings } = call;
  const { agenda, dependencies } = checkAgenda(body, unknownFields);
  mayActFor(access, agenda.customerId);
  const key = idempotencyKeyOf(c.req.header('idempotency-key'));
  const answer = await submitAgenda(parts.database, {
    agenda,
    dependencies,
    actor: access.userId,
    cid,
    ...(key === undefined ? {} : { idempotency: { key, requestHash: hashOf('POST', c.req.path, bodyText) } }),
  });
  switch (answer.kind) {
    case 'refused':
      throw await problemOf(parts, agenda, answer);
    case 'replayed': {
      const view = await wholeAgenda(parts, access, answer.agendaId);
      return c.json(view, 201, { Location: `${c.req.path}/${answer.agendaId}`, 'Idempotent-Replayed': 'true' });
    }
    case 'created': {
      const { agendaId, insightId } = answer;
      if (answer.ready) parts.wake([insightId]);
      if (answer.isUnchecked) warnings.add(() => uncheckedWarning(answer.resourcePoolId));
      const { customerId, operations } = agenda;
      log.info({ agendaId, insightId, customerId, operations: operations.length }, 'agenda submitted');
      return c.json(submittedAgendaView(agenda, { ...answer, cid }), 201, { Location: `${c.req.path}/${agendaId}` });
    }
  }
}

async function validate(
  { c, access, cid, body, unknownFields, warnings }: CallOf<typeof described.validate>,
  parts: ApiParts,
): Promise<Response> {
  const { agenda, dependencies } = checkAgenda(body, unknownFields);
  mayActFor(access, agenda.customerId);
  const insight = await insightForAgenda(parts.database, { agenda, dependencies });
  if (insight.kind === 'refused') throw await problemOf(parts, agenda, insight);
  const { resourcePoolId, insightId } = insight;
  if (insight.isUnchecked) warnings.add(() => uncheckedWarning(resourcePoolId));
  const operations = agenda.operations.map(({ name }, index) => ({
    name,
    dependencies: (dependencies[index] ?? []).map((on) => agenda.operations[on]?.name),
  }));
  return c.json({ cid, valid: true, agendaInsight: { resourcePoolId, insightId }, operations });
}

async function list(
  { c, access, cid, query }: CallOf<typeof described.list>,
  { database }: ApiParts,
): Promise<Response> {
  const { fields } = query;
  const withOperations = fields?.has('operations') === true;
  const page = await listAgendas(database, visibilityOf(access), query, withOperations);
  const agendaIds = page.all.map((row) => row.id);
  const operations = withOperations ? await readOperations(database, agendaIds) : [];
  const byAgenda = Map.groupBy(operations, (operation) => operation.agendaId);
  const all = page.all.map((row) => {
    const own = withOperations ? (byAgenda.get(row.id) ?? []).map(operationOfRow) : undefined;
    return onlyFields(agendaView(row, own), fields);
  });
  return c.json({ cid, count: page.count, all, nextCursor: page.nextCursor });
}

async function read({ c, access, id }: CallOf<typeof described.read>, parts: ApiParts): Promise<Response> {
  const view = await wholeAgenda(parts, access, id);
  const admission = await readAdmission(parts.database, id, view.attempt as number);
  return c.json({ ...view, admission: admission && admissionView(admission) });
}

async function cancel({ c, access, cid, id }: CallOf<typeof described.cancel>, parts: ApiParts): Promise<Response> {
  await visibleAgenda(parts.database, access, id);
  const { state, wakeInsights } = await cancelAgenda(parts.database, { agendaId: id, actor: access.userId, cid });
  if (state === 'over') throw conflict(`The Agenda ${quoted(id)} has ended already.`);
  if (wakeInsights.length > 0) parts.wake(wakeInsights);
  if (state === 'requested') parts.tellCancel?.(id);
  return c.json({ cid, id, state }, 202);
}

async function wholeAgenda({ database }: ApiParts, access: Access, id: string): Promise<View> {
  const row = await visibleAgenda(database, access, id);
  return agendaView(row, (await readOperations(database, [id])).map(operationOfRow));
}

/** @throws ProblemError 400 when the header is empty or too long */
function idempotencyKeyOf(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const bytes = Buffer.byteLength(header);
  if (bytes < 1 || bytes > maximumIdBytes)
    throw badParameter('Idempotency-Key', `Idempotency-Key must have 1 to ${maximumIdBytes} bytes, has ${bytes}.`);
  return header;
}

/** Tells a repeated request from another one under the same key. */
function hashOf(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex');
}

async function problemOf(
  { database }: ApiParts,
  agenda: Agenda,
  { code, message, faults, resourcePoolId = '' }: Refused,
): Promise<ProblemError> {
  switch (code) {
    case 'noInsight':
    case 'idempotencyKeyReused':
      return new ProblemError(code, message);
    case 'idempotencyKeyRunning':
      return new ProblemError(code, message, { headers: { 'Retry-After': '1' } });
    case 'idempotentAgendaGone':
      return conflict(message);
    case 'demandRefused':
      return invalid(await withKnownTypes(database, resourcePoolId, agenda, faults));
    case 'customerNotFound':
    case 'defaultInsightDoesNotMatch':
    case 'progressIdNotSupported':
      return invalid(faults);
  }
}
