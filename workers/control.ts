/** The program of the control worker. */
import { runProgram } from '../process/run-program.ts';
import { runControl } from './run-control.ts';

await runProgram('control', () => runControl());
