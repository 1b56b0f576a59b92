import { expectTypeOf, test } from 'vitest';
import type * as agenda from '../agenda/types.ts';
import type * as handler from './types.ts';

// Checked by the compiler.
test('what a handler is given and gives is what an Agenda carries', () => {
  expectTypeOf<handler.Json>().toEqualTypeOf<agenda.Json>();
  expectTypeOf<handler.JsonObject>().toEqualTypeOf<agenda.JsonObject>();
  expectTypeOf<handler.DiagnosticEvent>().toEqualTypeOf<agenda.DiagnosticEvent>();
});
