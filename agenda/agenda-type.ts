/**
 * The type of an Agenda, by which durations are learned. Agendas of the same steps in about the same number are
 * expected to run about as long.
 */
import type { Operation } from './types.ts';

/** Most characters of an Agenda's type. */
export const maximumAgendaTypeLength = 200;
/** Characters kept of a type that is too long, before the hash that tells it from others. */
const keptLength = 160;

/** The distinct types of its Operations, sorted, and their number rounded up to a power of two: `ffmpeg,sample×4`. */
export function agendaTypeOf({ operations }: { readonly operations: readonly Pick<Operation, 'type'>[] }): string {
  const types = [...new Set(operations.map(({ type }) => type))].sort();
  let count = 1;
  while (count < operations.length) count *= 2;
  const whole = `${types.join()}×${count}`;
  if (whole.length <= maximumAgendaTypeLength) return whole;
  // Never half a character.
  const kept = whole.slice(0, keptLength).replace(/[\ud800-\udbff]$/, '');
  return `${kept}…${hashOf(whole)}`;
}

/** 64 bits in hex: FNV-1a over UTF-16 code units, from both ends. Tells types apart, hides nothing. */
function hashOf(text: string): string {
  let forward = 0x811c9dc5;
  let backward = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    forward = Math.imul(forward ^ text.charCodeAt(index), 0x01000193);
    backward = Math.imul(backward ^ text.charCodeAt(text.length - 1 - index), 0x01000193);
  }
  return [forward, backward].map((part) => (part >>> 0).toString(16).padStart(8, '0')).join('');
}
