/**
 * Lays a fragment of a PodTemplateSpec over a Pod as a strategic merge patch does: objects are merged, lists with a
 * merge key element by element, other lists are replaced, null removes.
 */
import type { Json, JsonObject } from '../agenda/types.ts';

/** Lists whose elements are told apart by a field (Kubernetes API, `patchMergeKey`). */
const mergeKeys: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  env: 'name',
  volumeMounts: 'mountPath',
  volumeDevices: 'devicePath',
  ports: 'containerPort',
  imagePullSecrets: 'name',
  hostAliases: 'ip',
  topologySpreadConstraints: 'topologyKey',
};

/** The object with the fragment laid over it. */
export function strategicMerge(base: JsonObject, fragment: JsonObject): JsonObject {
  const merged: Record<string, Json> = { ...base };
  for (const [field, value] of Object.entries(fragment)) {
    const old = merged[field];
    if (value === null) delete merged[field];
    else if (isObject(value)) merged[field] = strategicMerge(isObject(old) ? old : {}, value);
    else if (isList(value)) merged[field] = mergeList(isList(old) ? old : [], value, mergeKeys[field]);
    else merged[field] = value;
  }
  return merged;
}

function mergeList(old: readonly Json[], own: readonly Json[], key: string | undefined): Json {
  if (key === undefined || own.some((element) => nameOf(element, key) === undefined)) return own;
  const merged = [...old];
  for (const element of own as readonly JsonObject[]) {
    const at = merged.findIndex((other) => nameOf(other, key) === nameOf(element, key));
    const there = merged[at];
    if (isObject(there)) merged[at] = strategicMerge(there, element);
    else merged.push(strategicMerge({}, element));
  }
  return merged;
}

function nameOf(element: Json, key: string): string | number | undefined {
  const name = isObject(element) ? element[key] : undefined;
  return typeof name === 'string' || typeof name === 'number' ? name : undefined;
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
