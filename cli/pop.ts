#!/usr/bin/env node
/** The `pop` command. */
import './check-node.ts';

import { commandTree } from './command-tree.ts';
import { runPop } from './run-pop.ts';

process.exitCode = await runPop(commandTree, process.argv.slice(2));
