// The command that changes the hosts: deploy. Its options and help are here; its code is in commands/, and loaded when
// it runs.

import { Option } from 'commander';
import type { DeployOptions } from '../commands/deployment.js';
import { count, type SysCommand } from './options.js';

const mostAtOnce = 8;

function hostCount(flags: string, description: string, digits: number): Option {
  return count(flags, description, 'Expected a number of hosts, 1 or more.', { digits, least: 1 });
}

export function addDeploy(program: SysCommand): void {
  program
    .command('deploy')
    .description(
      'install on the hosts over ssh, in the order that keeps mail flowing, and check the result; a host that fails gets ' +
        'its old files back, and the exit code is 1',
    )
    .argument('[host...]', 'the hosts, by name (default: all that are not up to date)')
    .option('--dry-run', 'print what would be done, and do nothing')
    .option('--yes', 'do not ask')
    .option('--undo', 'undo everything that deploy and the scripts set up on these hosts')
    .addOption(
      new Option('--force-routes', 'install even if main.cf of a home host routes mail around the relay').conflicts(
        'undo',
      ),
    )
    .addOption(hostCount('--parallel <n>', 'hosts at the same time', 2).default(mostAtOnce))
    .addOption(
      new Option(
        '--canary <host>',
        'the host to install first in its role (default: the first, if there are more than --parallel)',
      ).conflicts('undo'),
    )
    .addOption(hostCount('--max-failures <n>', 'start no more hosts after this many failures', 5).default(10))
    .examples(
      'relaycerts deploy',
      'relaycerts deploy --dry-run',
      'relaycerts deploy mailhost --yes',
      'relaycerts deploy --undo mailhost',
    )
    .runs(async (sys, options: Omit<DeployOptions, 'hosts' | 'canary'> & { canary?: string }, hosts: string[]) => {
      const { deploy } = await import('../commands/deploy.js');
      await deploy({ ...options, canary: options.canary, hosts }, sys);
    });
}
