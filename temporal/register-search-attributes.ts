/** Registers the search attributes of our workflows where the namespace lacks them. */
import proto from '@temporalio/proto';
import type { Logger } from 'pino';
import { searchAttributes } from '../workflows/search-attributes.ts';
import type { TemporalClient } from './connect.ts';

const types = {
  KEYWORD: proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
  KEYWORD_LIST: proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
};

/** A server without the right to do so keeps its own list: starts say then which attribute is missing. */
export async function ensureSearchAttributes(client: TemporalClient, namespace: string, log: Logger): Promise<void> {
  const { operatorService } = client.connection;
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const missing = Object.values(searchAttributes).filter((key) => !Object.hasOwn(customAttributes, key.name));
  if (missing.length === 0) return;
  log.info({ missing: missing.map((key) => key.name) }, 'adding search attributes');
  await addSearchAttributes(client, namespace, missing);
}

/** Adds these, by default all of ours; a server may refuse those it has. */
export async function addSearchAttributes(
  client: Pick<TemporalClient, 'connection'>,
  namespace: string,
  keys = Object.values(searchAttributes),
): Promise<void> {
  await client.connection.operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(keys.map((key) => [key.name, types[key.type as keyof typeof types]])),
  });
}
