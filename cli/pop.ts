#!/usr/bin/env node
/** The `pop` command. */
import './check-node.ts';

import { commandTree } from './command-tree.ts';
import { runPop } from './run-pop.ts';

const code = await runPop(commandTree, process.argv.slice(2));
// What is still open keeps no process: functions of in-process types, a connection that is tried on.
process.exit(code);
