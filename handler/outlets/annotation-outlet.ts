/**
 * Reports as POP's own handlers did: annotations of the handler's own Pod, patched with its ServiceAccount.
 * `pop.report.progress` holds the OperationProgress, `pop.report.payload` the result as JSON text. Kubernetes takes
 * 256 KiB of annotations of one object, so both are bounded.
 */
import type { KubernetesClient } from '../kubernetes/client.ts';
import { type HandlerEnd, operationProgressOf, type Progress } from '../progress.ts';
import type { DiagnosticEvent, Json } from '../types.ts';
import { EndNotDelivered, goOn, type Outlet, ResultTooLarge, type Wish } from './outlet.ts';
import { withinLimits } from './report-limits.ts';
import { type ResultFile, writeResultFile } from './result-file.ts';

/** Most bytes of a result in `pop.report.payload`. */
export const mostAnnotatedResultBytes = 200_000;
/** Most bytes of `pop.report.progress`: what is left of 256 KiB, and some for the annotations of others. */
const mostProgressBytes = 40_000;

/** How an annotating handler reaches its Pod. */
export interface AnnotationReport {
  readonly client: KubernetesClient;
  /** Name of its own Pod. */
  readonly pod: string;
  readonly resultFile: ResultFile;
  /** Takes results that are too large for an annotation. */
  readonly larger: Outlet | undefined;
  readonly endSeconds: number;
}

/** Patches annotations. */
export class AnnotationOutlet implements Outlet {
  readonly leastMilliseconds: number = 1_000;
  readonly #to: AnnotationReport;

  constructor(to: AnnotationReport) {
    this.#to = to;
  }

  async progress(progress: Progress): Promise<Wish> {
    await this.#patch({ 'pop.report.progress': textOf(progress) }, 0);
    return goOn;
  }

  async end(progress: Progress, end: HandlerEnd): Promise<void> {
    const result = end.result === undefined ? undefined : JSON.stringify(end.result);
    if (end.result !== undefined) writeResultFile(this.#to.resultFile, end.result);
    const bytes = Buffer.byteLength(result ?? '');
    const isAnnotated = result !== undefined && bytes <= mostAnnotatedResultBytes;
    if (result !== undefined && !isAnnotated) {
      if (this.#to.larger === undefined) throw new ResultTooLarge(bytes, mostAnnotatedResultBytes);
      await this.#to.larger.end(progress, end);
    }
    const annotations = {
      ...(isAnnotated && { 'pop.report.payload': result }),
      'pop.report.progress': textOf(progress, end),
    };
    // With one patch, so that nobody sees the end without the result.
    await this.#patch(annotations, this.#to.endSeconds).catch((error: unknown) => {
      throw new EndNotDelivered(error instanceof Error ? error.message : String(error), error);
    });
  }

  async #patch(annotations: Readonly<Record<string, string>>, seconds: number): Promise<void> {
    const { client, pod } = this.#to;
    await client.request({
      method: 'PATCH',
      path: `/api/v1/namespaces/${client.namespace}/pods/${encodeURIComponent(pod)}`,
      contentType: 'application/merge-patch+json',
      body: { metadata: { annotations } },
      retrySeconds: seconds,
    });
  }
}

/** The OperationProgress within its bytes: first without stack traces and payloads of events, then the last events. */
function textOf(progress: Progress, end?: HandlerEnd): string {
  const cut = withinLimits(progress);
  const short = cut.diagnosticEvents.map(
    ({ message, code, statusCode, time }): DiagnosticEvent => ({
      message: message.slice(0, 2_000),
      ...(code !== undefined && { code }),
      ...(statusCode !== undefined && { statusCode }),
      ...(time !== undefined && { time }),
    }),
  );
  const forms = [cut.diagnosticEvents, short, short.slice(-5), short.slice(-1)].map((diagnosticEvents) =>
    JSON.stringify(operationProgressOf({ ...cut, diagnosticEvents }, end)),
  );
  const fitting = forms.find((text) => Buffer.byteLength(text) <= mostProgressBytes);
  if (fitting !== undefined) return fitting;
  // What is left is `params`: without them the next attempt begins from the start, which is better than no end.
  console.error(`The params have more than ${mostProgressBytes} bytes; an annotation does not take them.`);
  const { params: _params, ...rest } = { ...cut, diagnosticEvents: short.slice(-1) };
  return JSON.stringify(operationProgressOf(rest, end) as Json);
}
