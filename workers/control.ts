/** The program of the control worker. */
import { runControl } from './run-control.ts';

await runControl();
