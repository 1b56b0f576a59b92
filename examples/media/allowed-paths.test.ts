/**
 * What a submitter can have the media handlers read, write and remove: only what lies below the roots of the registry
 * entry.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../../agenda/types.ts';
import type { LocalSettings } from '../../launchers/local/local-settings.ts';
import { MediaScratch } from '../../test/support/media-scratch.ts';

let scratch: MediaScratch;
let source: string;
/** Outside of all roots: a folder with a video and a text, both somebody else's. */
let outside: string;
let secret: string;
const at = (name: string): string => scratch.at(name);

beforeAll(async () => {
  scratch = await MediaScratch.make(1);
  source = scratch.source;
  outside = join(scratch.folder, 'outside');
  mkdirSync(outside);
  secret = join(outside, 'secret.mp4');
  copyFileSync(source, secret);
  writeFileSync(join(outside, 'keep.txt'), 'kept');
  symlinkSync(secret, join(scratch.media, 'link.mp4'));
  symlinkSync(outside, at('link'));
});
afterAll(() => scratch[Symbol.asyncDispose]());

/** The first diagnostic event of an Operation that must fail. */
async function refusal(type: string, payload: Json, settings?: Partial<LocalSettings>) {
  const { ending } = await scratch.perform(type, payload, settings);
  if (ending.kind !== 'failed') throw new Error(`${type} ${ending.kind}: ${JSON.stringify(payload)}`);
  return ending.diagnosticEvents[0];
}

const small = { width: 64, bitrate: 50_000 };

describe('reading', { timeout: 60_000 }, () => {
  test('transcode reads no file outside of the roots, by whichever name', async () => {
    const target = at('stolen.mp4');
    const names = [
      secret,
      '/etc/passwd',
      '/no/such/file',
      join(scratch.media, 'link.mp4'),
      `${scratch.media}/../outside/secret.mp4`,
      `${at('link')}/secret.mp4`,
      `subfile,,start,0,end,0,,:${secret}`,
    ];
    for (const name of names) {
      const event = await refusal('transcode', { source: name, target, ...small });
      expect(event, name).toMatchObject({
        code: 'pathNotAllowed',
        message: expect.stringContaining(`"source" is "${name}"`),
      });
      expect(event?.message, name).toContain('"readRoots" of the registry entry');
      expect(event?.message.replace(name, '')).not.toContain(scratch.folder);
    }
    expect(existsSync(target)).toBe(false);
  });

  test('every handler refuses a source outside, and package a rendition', async () => {
    for (const [type, payload] of [
      ['mediaInfo', { source: secret }],
      ['thumbnail', { source: secret, target: at('t.jpg') }],
      ['filmstrip', { source: secret, target: at('f.jpg') }],
      ['package', { folder: at('p'), renditions: [{ file: secret }] }],
    ] as const) {
      expect(await refusal(type, payload), type).toMatchObject({ code: 'pathNotAllowed' });
    }
    expect(readdirSync(at(''))).toEqual(['link']);
  });

  test('a long path is cut at 200 characters in the message', async () => {
    const event = await refusal('mediaInfo', { source: `/${'x'.repeat(5_000)}` });
    expect(event).toMatchObject({ code: 'pathNotAllowed' });
    expect(event?.message.length).toBeLessThan(400);
  });

  test('a URL is not asked for, unless MEDIA_PROTOCOLS allows it; then it leads to no file', async () => {
    const asked: string[] = [];
    const server = createServer(({ url = '' }, response) => {
      asked.push(url);
      if (url === '/clip.mp4') response.end(readFileSync(secret));
      else response.writeHead(302, { location: `file:${secret}` }).end();
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    try {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('The server has no port.');
      const url = `http://127.0.0.1:${address.port}`;
      expect(await refusal('mediaInfo', { source: `${url}/clip.mp4` })).toMatchObject({
        code: 'pathNotAllowed',
        message: expect.stringMatching(/does not read http: URLs.*"MEDIA_PROTOCOLS"/),
      });
      for (const other of [
        `file:${secret}`,
        `concat:${secret}|${secret}`,
        `crypto:${secret}`,
        'ftp://x/y',
        'HTTP://x/y',
      ]) {
        expect(await refusal('mediaInfo', { source: other }), other).toMatchObject({ code: 'pathNotAllowed' });
      }
      expect(asked).toEqual([]);
      const allowed = { envVars: { MEDIA_PROTOCOLS: 'http' } };
      const { ending } = await scratch.perform('mediaInfo', { source: `${url}/clip.mp4` }, allowed);
      expect(ending).toMatchObject({ kind: 'succeeded', result: { file: `${url}/clip.mp4`, width: 640 } });
      expect(await refusal('mediaInfo', { source: `${url}/moved.mp4` }, allowed)).toMatchObject({
        code: 'ffprobeFailed',
      });
      expect(await refusal('mediaInfo', { source }, { envVars: { MEDIA_PROTOCOLS: 'file,concat' } })).toMatchObject({
        code: 'invalidSetting',
      });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test('a playlist or list is not read, though it lies in a root: it would name files outside', async () => {
    const hls = (file: string) =>
      `#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n${file}\n#EXT-X-ENDLIST\n`;
    const dash =
      '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" ' +
      'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" type="static" mediaPresentationDuration="PT1S"><Period>' +
      '<AdaptationSet><Representation id="1" mimeType="video/mp4">' +
      `<BaseURL>${secret}</BaseURL></Representation></AdaptationSet></Period></MPD>`;
    const lists = { 'a.m3u8': hls(secret), 'b.m3u8': hls(`file://${secret}`), 'c.mp4': hls(secret), 'd.mpd': dash };
    const concats = {
      'e.ffconcat': 'ffconcat version 1.0\nfile link.mp4\n',
      'f.mp4': 'ffconcat version 1.0\nfile link.mp4\n',
    };
    for (const [name, content] of Object.entries({ ...lists, ...concats })) {
      writeFileSync(join(scratch.media, name), content);
      const list = join(scratch.media, name);
      // With the length given, transcode asks ffmpeg without asking ffprobe first.
      const event = await refusal('transcode', { source: list, target: at('list.mp4'), durationSeconds: 1, ...small });
      expect(event, name).toMatchObject({ code: 'formatNotAllowed', message: expect.stringContaining(list) });
      expect(await refusal('mediaInfo', { source: list }), name).toMatchObject({
        code: /^(formatNotAllowed|ffprobeFailed)$/,
      });
    }
    expect(existsSync(at('list.mp4'))).toBe(false);
    for (const MEDIA_FORMATS of ['hls', 'dv,concat', 'ALL', '-mov']) {
      expect(await refusal('mediaInfo', { source }, { envVars: { MEDIA_FORMATS } })).toMatchObject({
        code: 'invalidSetting',
      });
    }
  });
});

describe('writing', { timeout: 60_000 }, () => {
  test('transcode, thumbnail and filmstrip write no file outside of the roots', async () => {
    const kept = readFileSync(secret);
    for (const target of [
      secret,
      `${at('link')}/secret.mp4`,
      `${at('..')}/../outside/secret.mp4`,
      source,
      scratch.media,
      at(''),
    ]) {
      const event = await refusal('transcode', { source, target, ...small });
      expect(event, target).toMatchObject({
        code: 'pathNotAllowed',
        message: expect.stringContaining('"writeRoots" of the registry entry'),
      });
    }
    for (const type of ['thumbnail', 'filmstrip']) {
      expect(await refusal(type, { source, target: join(outside, 'new.jpg') })).toMatchObject({
        code: 'pathNotAllowed',
      });
      expect(await refusal(type, { source, target: at('new.m3u8') })).toMatchObject({ code: 'invalidPayload' });
    }
    expect(readFileSync(secret).equals(kept)).toBe(true);
    expect(readdirSync(outside).sort()).toEqual(['keep.txt', 'secret.mp4']);
  });

  test('a link in the place of a target is replaced, and what it leads to stays', async () => {
    const kept = readFileSync(secret);
    const target = at('linked.mp4');
    symlinkSync(secret, target);
    expect((await scratch.perform('transcode', { source, target, ...small })).ending).toMatchObject({
      kind: 'succeeded',
    });
    expect(readFileSync(secret).equals(kept)).toBe(true);
    expect(readFileSync(target).equals(kept)).toBe(false);
  });

  test('a name is neither an option nor a pattern, and its ending chooses no other format', async () => {
    const folder = 'names';
    for (const name of ['-y.mp4', '%d.mp4', 'list.m3u8', 'http:x.mp4']) {
      const { ending } = await scratch.perform('transcode', { source, target: `${at(folder)}/${name}`, ...small });
      expect(ending, name).toMatchObject({ kind: 'succeeded', result: { container: expect.stringContaining('mp4') } });
    }
    const picture = { source, target: `${at(folder)}/-%03d.jpg` };
    expect((await scratch.perform('thumbnail', picture)).ending).toMatchObject({ kind: 'succeeded' });
    expect(readdirSync(at(folder)).sort()).toEqual(['%d.mp4', '-%03d.jpg', '-y.mp4', 'http:x.mp4', 'list.m3u8']);
    const { ending } = await scratch.perform('mediaInfo', { source: `${at(folder)}/-y.mp4` });
    expect(ending).toMatchObject({ kind: 'succeeded' });
  });

  test('package removes no folder outside of the roots, and none that is no package', async () => {
    const renditions = [{ file: source }];
    for (const folder of [outside, at('link'), at(''), scratch.media]) {
      const event = await refusal('package', { folder, renditions });
      expect(event, folder).toMatchObject({ code: folder === at('link') ? 'notReplaced' : 'pathNotAllowed' });
    }
    expect(await refusal('package', { folder: `${at('link')}/hls`, renditions })).toMatchObject({
      code: 'pathNotAllowed',
    });
    mkdirSync(at('others'));
    writeFileSync(join(at('others'), 'work.mp4'), 'work');
    expect(await refusal('package', { folder: at('others'), renditions })).toMatchObject({ code: 'notReplaced' });
    expect(readFileSync(join(at('others'), 'work.mp4'), 'utf8')).toBe('work');
    expect(readdirSync(outside).sort()).toEqual(['keep.txt', 'secret.mp4']);
    mkdirSync(at('empty'));
    for (let round = 0; round < 2; round += 1) {
      expect((await scratch.perform('package', { folder: at('empty'), renditions })).ending).toMatchObject({
        kind: 'succeeded',
      });
    }
    expect(readdirSync(at('empty')).sort()).toEqual(['clip', 'master.m3u8']);
  });
});

test('the sample handler of this registry, the default of npm start, runs no command', async () => {
  const marker = at('ran');
  const actions = [{ action: 'externalExecute', paramsMap: { externalArgs: ['touch', marker] } }];
  expect(await refusal('sample', { actions })).toMatchObject({ code: 'commandNotAllowed' });
  expect(existsSync(marker)).toBe(false);
});

test('without roots nothing is read and nothing is written, and the message names the setting', {
  timeout: 60_000,
}, async () => {
  for (const [field, setting] of [
    ['source', 'readRoots'],
    ['target', 'writeRoots'],
  ] as const) {
    const event = await refusal('transcode', { source, target: at('none.mp4') }, { [setting]: [] });
    expect(event).toMatchObject({
      code: 'pathNotAllowed',
      message: expect.stringMatching(new RegExp(`^"${field}" is ".*": nothing may be .* names no "${setting}"\\.$`)),
    });
  }
  expect(existsSync(at('none.mp4'))).toBe(false);
});
