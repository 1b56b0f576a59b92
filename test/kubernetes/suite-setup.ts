/** One cluster for the whole suite; tests that end or freeze parts start one of their own. */
import type { TestProject } from 'vitest/node';
import { startCluster } from './cluster/cluster.ts';
import type { ClusterFacts } from './cluster/facts.ts';
import { missingForNode } from './cluster/node-needs.ts';
import { importUsualImages } from './cluster/real-node.ts';
import { missingGo } from './cluster/tools.ts';

/** What the suite has; tests of what it lacks are skipped. */
export interface SharedCluster {
  readonly facts?: ClusterFacts;
  /** Why there is no cluster, or no real node in it. */
  readonly missing?: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    kubernetes: SharedCluster;
  }
}

function say(line: string): void {
  console.log(`kubernetes: ${line}`);
}

/** Builds and starts the cluster; returns the function that ends it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const noGo = await missingGo();
  const noNode = noGo ?? missingForNode();
  if (noNode !== undefined) {
    // Who says that these tests count is not told "passed" without them.
    if (process.env.POP_REQUIRE_KUBERNETES === '1') throw new Error(`The tests on Kubernetes cannot run: ${noNode}.`);
    say(`${noGo === undefined ? 'tests on the real node are' : 'all tests are'} SKIPPED: ${noNode}`);
  }
  if (noGo !== undefined) {
    project.provide('kubernetes', { missing: noGo });
    return async () => undefined;
  }
  const begun = Date.now();
  const cluster = await startCluster({ realNode: noNode === undefined, audit: true, say });
  if (cluster.facts.realNode !== undefined) await importUsualImages(cluster.facts);
  say(
    `the cluster runs after ${((Date.now() - begun) / 1000).toFixed(1)} s; its logs: ${cluster.facts.directory}/logs`,
  );
  project.provide('kubernetes', { facts: cluster.facts, ...(noNode === undefined ? {} : { missing: noNode }) });
  return async () => {
    const failed = project.vitest.state.getCountOfFailedTests() > 0;
    if (failed) say(`the cluster's data and logs are kept: ${cluster.keepData()}`);
    await cluster[Symbol.asyncDispose]();
  };
}
