/** The program of the pool worker. */
import { runProgram } from '../process/run-program.ts';
import { runPool } from './run-pool.ts';

await runProgram('pool', runPool);
// Functions of in-process types may still be at work; they are repeated elsewhere, and no process waits for them.
process.exit(0);
