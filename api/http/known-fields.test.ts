import { z } from '@hono/zod-openapi';
import { describe, expect, test } from 'vitest';
import { fieldsWithoutEffect, objectNames, takeOutUnknown } from './known-fields.ts';

const stepShape = {
  name: z.string(),
  dependsOn: z.array(z.string()).nullish(),
  params: z.custom<object>(() => true).nullish(),
};
const step = z.strictObject(stepShape).register(objectNames, { name: 'a Step' });
const view = z.object({ ...stepShape, state: z.string() });
const body = z.strictObject({
  steps: z
    .array(step)
    .nullish()
    .transform((steps) => steps ?? []),
  byId: z.record(z.string(), z.strictObject({ weight: z.number() }).nullish()).superRefine(() => {}),
  open: z.object({ a: z.strictObject({ b: z.number() }) }),
  ...fieldsWithoutEffect(stepShape, view, ['jobId']),
});

const messages = (value: unknown) =>
  takeOutUnknown(body, value).first.map(({ pointer, message }) => [pointer, message]);

describe('fields that a schema does not know', () => {
  test('are named with their place, their object and the nearest name, in lists, records and objects', () => {
    expect(
      messages({
        step: [],
        steps: [{ name: 'a' }, { Name: 'b', depends_on: [], colour: 1 }],
        byId: { x: { weigth: 1 }, y: null },
        open: { a: { zz: 1 } },
      }),
    ).toEqual([
      ['/step', 'step is not a field of this body; did you mean steps?'],
      ['/steps/1/Name', 'Name is not a field of a Step; did you mean name?'],
      ['/steps/1/depends_on', 'depends_on is not a field of a Step; did you mean dependsOn?'],
      ['/steps/1/colour', 'colour is not a field of a Step; /docs lists those that are.'],
      ['/byId/x/weigth', 'weigth is not a field of byId.x; did you mean weight?'],
      ['/open/a/zz', 'zz is not a field of open.a; /docs lists those that are.'],
    ]);
  });

  test('are taken out, as those without effect are; free and open objects stay', () => {
    const given = JSON.parse(
      '{"state":"x","warnings":[],"jobId":1,"__proto__":1,"open":{"more":1},' +
        '"steps":[{"params":{"dependOn":1},"toString":1}]}',
    );
    expect(takeOutUnknown(body, given).first.map(({ pointer }) => pointer)).toEqual([
      '/__proto__',
      '/steps/0/toString',
    ]);
    expect(Object.entries(given)).toEqual([
      ['open', { more: 1 }],
      ['steps', [{ params: { dependOn: 1 } }]],
    ]);
  });

  test('are not looked for where the form is another', () => {
    for (const value of [undefined, null, 1, 'x', [], [{ zz: 1 }], { steps: { zz: 1 }, byId: [{ zz: 1 }], open: null }])
      expect(messages(value)).toEqual([]);
  });

  test('are cut where their names are long, and names with odd characters are quoted', () => {
    const [long, odd] = takeOutUnknown(body, { [`step${'s'.repeat(1_000_000)}`]: 1, 'a\n~/b': 1 }).first;
    expect(long?.pointer).toHaveLength(201);
    expect(long?.message).toMatch(/^"step.*…" is not a field of this body; \/docs/);
    expect(long?.message.length).toBeLessThan(300);
    expect(odd).toMatchObject({
      pointer: '/a\n~0~1b',
      message: '"a\\n~/b" is not a field of this body; /docs lists those that are.',
    });
    const [half] = takeOutUnknown(body, { [`${'x'.repeat(199)}😀`]: 1 }).first;
    expect(half?.pointer.isWellFormed()).toBe(true);
  });

  test('are all counted, and ten of a million are put into words', () => {
    const many = Object.fromEntries(Array.from({ length: 1_000_000 }, (_, index) => [`dependOn${index}`, index]));
    const { first, total } = takeOutUnknown(body, many);
    expect(total).toBe(1_000_000);
    expect(first).toHaveLength(10);
    expect(many).toEqual({});
  });
});
