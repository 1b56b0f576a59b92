/** Cuts a stream of bytes into lines. */
import { StringDecoder } from 'node:string_decoder';

/** Longest line that is handed on whole; a longer one comes in pieces, so that no tool can fill the memory. */
const mostCharacters = 1_048_576;

/** Takes bytes; hands on whole lines without their end. */
export interface LineCutter {
  write(chunk: Buffer): void;
  /** What is left becomes the last line. */
  end(): void;
  /** What is left is forgotten: it will come again. */
  forget(): void;
}

/** A cutter that hands its lines to `line`. Characters may be cut between two chunks. */
export function linesOf(line: (line: string) => void): LineCutter {
  let decoder = new StringDecoder('utf8');
  let rest = '';
  const take = (text: string): void => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const each of lines) line(each.endsWith('\r') ? each.slice(0, -1) : each);
    while (rest.length > mostCharacters) {
      line(rest.slice(0, mostCharacters));
      rest = rest.slice(mostCharacters);
    }
  };
  return {
    write: (chunk) => take(decoder.write(chunk)),
    end: () => {
      take(decoder.end());
      if (rest !== '') line(rest);
      rest = '';
    },
    forget: () => {
      decoder = new StringDecoder('utf8');
      rest = '';
    },
  };
}
