/** Reads a container's output: what is kept of it, and when its last line came. */
import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { HandlerLog } from '../launcher.ts';
import { Tail } from '../tail.ts';
import { type Engine, EngineAway, fromEngine } from './engine.ts';

/** The output of a run, and its standard output alone. */
export interface ContainerLog extends HandlerLog {
  readonly standardOutput: string;
}

/**
 * The last `keepBytes` of the output, both streams in the order in which they were written. What a log driver dropped
 * before is not counted.
 */
export async function readContainerLog(engine: Engine, id: string, keepBytes: number): Promise<ContainerLog> {
  const all = new Tail(keepBytes);
  const standard = new Tail(keepBytes);
  await eachFrame(engine, id, {}, (chunk, isStandard) => {
    all.add(chunk);
    if (isStandard) standard.add(chunk);
  });
  return { output: all.text(), totalBytes: all.totalBytes, standardOutput: standard.text() };
}

/**
 * When the newest line was written since then, in epoch milliseconds; undefined when there is none. Podman gives more
 * lines than the one that is asked for.
 */
export async function lastLineTime(engine: Engine, id: string, since: number): Promise<number | undefined> {
  let last: number | undefined;
  await eachFrame(engine, id, { tail: 1, timestamps: true, since }, (chunk, _isStandard, isFirst) => {
    if (isFirst) last = timeOfStamp(chunk.subarray(0, longestStamp).toString('latin1')) ?? last;
  });
  return last;
}

const longestStamp = 40;

/** Podman's stamps are of whole seconds: the line came at some time in it, and silence is no shorter than it was. */
export function timeOfStamp(text: string): number | undefined {
  const [stamp = ''] = text.split(' ', 1);
  const time = Date.parse(stamp);
  if (Number.isNaN(time)) return undefined;
  return stamp.includes('.') ? time : time + 999;
}

/** `isFirst`: the chunk begins a frame; a line is one, or several when it is long. */
type Heard = (chunk: Buffer, isStandard: boolean, isFirst: boolean) => void;

async function eachFrame(engine: Engine, id: string, question: Parameters<Engine['log']>[1], hear: Heard) {
  const stream = await engine.log(id, question);
  const frames = new Frames(hear);
  stream.pipe(frames);
  try {
    await finished(frames);
  } catch (error) {
    throw fromEngine(error);
  }
  if (!stream.complete) throw new EngineAway(new Error('the connection broke while the output was read'));
}

const headBytes = 8;

/** Takes the frames apart in which an engine sends both streams: stream number, three zeros, length, bytes. */
export class Frames extends Writable {
  readonly #hear: Heard;
  #head = Buffer.alloc(0);
  #isStandard = true;
  #isFirst = true;
  #left = 0;

  constructor(hear: Heard) {
    super();
    this.#hear = hear;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#left === 0) rest = this.#readHead(rest);
      else {
        const part = rest.subarray(0, this.#left);
        this.#left -= part.length;
        rest = rest.subarray(part.length);
        this.#hear(part, this.#isStandard, this.#isFirst);
        this.#isFirst = false;
      }
    }
    done();
  }

  #readHead(bytes: Buffer): Buffer {
    const missing = headBytes - this.#head.length;
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, missing)]);
    if (this.#head.length === headBytes) {
      this.#isStandard = this.#head[0] !== 2;
      this.#left = this.#head.readUInt32BE(4);
      this.#head = Buffer.alloc(0);
      this.#isFirst = true;
    }
    return bytes.subarray(missing);
  }
}
