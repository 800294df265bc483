// What a plain `relaycerts deploy` is called with, for tests that call the command itself.

import type { DeployOptions } from '../../src/commands/deployment.js';
import type { Project } from './project.js';

/** All hosts, with every default. */
export function plainDeploy(project: Pick<Project, 'path'>): DeployOptions {
  return {
    hosts: [],
    dryRun: false,
    yes: false,
    undo: false,
    forceRoutes: false,
    parallel: 8,
    canary: undefined,
    maxFailures: 10,
    settings: project.path('settings.json'),
    json: false,
  };
}
