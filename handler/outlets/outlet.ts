/** A way for progress and the end of a handler to leave it. */
import { HandlerFailure } from '../handler-failure.ts';
import type { HandlerEnd, Progress } from '../progress.ts';

/** What whoever hears of the progress wants: that the handler goes on, or why it is to stop. */
export type Wish = { readonly wish: 'goOn' } | { readonly wish: 'stop'; readonly reason: string };

/** Nobody has a wish. */
export const goOn: Wish = { wish: 'goOn' };

/** Takes reports. What it throws of progress is told in the log and tried again; the handler goes on. */
export interface Outlet {
  /** Shortest time between two reports of progress. */
  readonly leastMilliseconds: number;
  progress(progress: Progress): Promise<Wish>;
  /** @throws EndNotDelivered when nobody can be told */
  end(progress: Progress, end: HandlerEnd): Promise<void>;
}

/** The end of the handler reached nobody, so its work is lost; the handler exits with a failure. */
export class EndNotDelivered extends HandlerFailure {
  constructor(why: string, cause?: unknown) {
    super(`The end of the handler could not be reported: ${why}`, { code: 'endNotDelivered', cause });
    this.name = 'EndNotDelivered';
  }
}

/** The result has more bytes than any open way takes. It fails the Operation: trying again helps nobody. */
export class ResultTooLarge extends HandlerFailure {
  constructor(bytes: number, most: number) {
    super(
      `The result has ${bytes} bytes; this launch takes at most ${most} (POP_RESULT_FILE_BYTES) ` +
        'and has no token to report a larger one with.',
      { code: 'resultTooLarge', payload: { bytes, most } },
    );
    this.name = 'ResultTooLarge';
  }
}
