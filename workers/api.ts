/** The program of the api. */
import { runProgram } from '../process/run-program.ts';
import { runApi } from './run-api.ts';

await runProgram('api', runApi);
