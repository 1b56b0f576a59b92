/** The scenarios whose bars the algorithms are held to, by number. */
import { changeScenarios } from './change-scenarios.ts';
import { orderScenarios } from './order-scenarios.ts';
import type { Scenario } from './scenario.ts';
import { sharingScenarios } from './sharing-scenarios.ts';
import { specialScenarios } from './special-scenarios.ts';

const numberOf = ({ id }: Scenario): number => Number(id.slice(1));

/** All scenarios, in the order of their numbers. */
export const scenarios: readonly Scenario[] = [
  ...sharingScenarios,
  ...changeScenarios,
  ...orderScenarios,
  ...specialScenarios,
].sort((a, b) => numberOf(a) - numberOf(b));
