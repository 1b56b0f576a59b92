import { expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import type { HandlerContext } from './handler-context.ts';
import { fail, HandlerFailure } from './handler-failure.ts';
import { checkPayload, type StandardSchema } from './payload-schema.ts';
import type { runHandler } from './run-handler.ts';
import { testHandler } from './test-handler.ts';

const refusal = (checked: Promise<unknown>): Promise<HandlerFailure> =>
  checked.then(
    () => expect.fail('nothing was refused'),
    (error: unknown) => (error instanceof HandlerFailure ? error : expect.fail(String(error))),
  );

test('a schema of zod gives the payload its type, its defaults, and each fault its pointer', async () => {
  const schema = z.object({ files: z.array(z.object({ name: z.string() })), quick: z.boolean().default(false) });
  const payload = await checkPayload({ files: [{ name: 'a' }] }, schema);
  expectTypeOf(payload).toEqualTypeOf<{ files: { name: string }[]; quick: boolean }>();
  expect(payload).toEqual({ files: [{ name: 'a' }], quick: false });
  const { message, details } = await refusal(checkPayload({ files: [{ name: 'a' }, {}], quick: 'x' }, schema));
  expect(message).toMatch(/^The payload is not valid: \/files\/1\/name: .*; \/quick: /);
  expect(details).toMatchObject({
    code: 'invalidPayload',
    payload: { issues: [{ pointer: '/files/1/name' }, { pointer: '/quick' }], more: 0 },
  });
});

test('a schema of any library counts, also a callable one that answers later and has steps as objects', async () => {
  const validate = async (value: unknown) =>
    value === 1
      ? { value: 'one' }
      : { issues: Array.from({ length: 12 }, (_, at) => ({ message: 'no', path: [{ key: 'a/b~c' }, at] })) };
  const schema = Object.assign(() => 'never called', {
    '~standard': { version: 1, vendor: 'test', validate } as const,
  });
  expect(await checkPayload(1, schema as StandardSchema<string>)).toBe('one');
  const { message, details } = await refusal(checkPayload(2, schema as StandardSchema<string>));
  expect(message).toContain('/a~1b~0c/9: no; and 2 more');
  expect(details.payload).toMatchObject({ more: 2 });
});

test('a function may check: what it throws is invalidPayload, unless it says otherwise itself', async () => {
  expect(await checkPayload(3, (payload) => Number(payload) * 2)).toBe(6);
  const thrown = () => {
    throw new Error('a number is wanted');
  };
  const { message, details } = await refusal(checkPayload(null, thrown));
  expect([message, details.code]).toEqual(['The payload is not valid: a number is wanted', 'invalidPayload']);
  expect((await refusal(checkPayload(null, () => fail('mine', { code: 'own' })))).details.code).toBe('own');
});

test('a handler is given what its schema returns', async () => {
  const options = {
    payload: z.object({ n: z.coerce.number() }),
    run: async ({ payload }: HandlerContext<{ n: number }>) => payload.n + 1,
  };
  expect((await testHandler(options, { payload: { n: '41' } })).result).toBe(42);
  await refusal(testHandler(options, { payload: { n: 'x' } }));
  // Checked by the compiler: the type of the payload comes from the schema.
  type Run = typeof runHandler<{ n: number }>;
  expectTypeOf<Run>().parameter(0).extract<{ run: unknown }>().toHaveProperty('run');
});
