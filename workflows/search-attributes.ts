/**
 * What operators search for in Temporal. Every one is a Keyword (at most 200 bytes each, see the limits of ids) but the
 * list of types.
 */
import { defineSearchAttributeKey } from '@temporalio/common';

/** The search attributes that Agendas' workflows have in Temporal: found by them in its UI and its lists. */
export const searchAttributes = {
  customerId: defineSearchAttributeKey('CustomerId', 'KEYWORD'),
  insightId: defineSearchAttributeKey('InsightId', 'KEYWORD'),
  resourcePoolId: defineSearchAttributeKey('ResourcePoolId', 'KEYWORD'),
  agendaId: defineSearchAttributeKey('AgendaId', 'KEYWORD'),
  linkId: defineSearchAttributeKey('LinkId', 'KEYWORD'),
  correlationId: defineSearchAttributeKey('CorrelationId', 'KEYWORD'),
  /** Set at the start and once at the end. */
  agendaState: defineSearchAttributeKey('AgendaState', 'KEYWORD'),
  /** Distinct types, the first 20. */
  operationTypes: defineSearchAttributeKey('OperationTypes', 'KEYWORD_LIST'),
} as const;
