// The test host lab: real Postfix hosts on one machine, each with namespaces of its own, on a network that leads
// nowhere else. relayhost, relayhost2... relay; mailhost, mailhost2... are the homes, which cannot reach the outside
// MX themselves (a provider that blocks port 25); mx.example.net is the outside; operator is where relaycerts, ssh and
// rsync run. It needs root, and leaves nothing behind however it ends.

import { fileURLToPath } from 'node:url';

import { requireTools } from '../support/require-tools.js';
import { connectOperator, operatorAccount, prepareOperator, startSshd } from './lab/accounts.js';
import { bootMachine } from './lab/machine.js';
import type { Machine } from './lab/machine.js';
import { judgeLogs } from './lab/logs.js';
import { MailHost, OutsideMx } from './lab/mail-host.js';
import { startPostfix } from './lab/postfix.js';
import { addressOf, bootWire, plugIn } from './lab/wire.js';
import type { Station } from './lab/wire.js';

export interface LabOptions {
  /** How many relays: relayhost.example.org, relayhost2.example.org... */
  readonly relays: number;
  /** How many homes: mailhost.example.org, mailhost2.example.org... */
  readonly homes: number;
  /** What its tests put in, and its logs may name: ids of src/findings. */
  readonly faults?: readonly string[] | 'any';
}

export interface Lab {
  readonly relays: readonly [MailHost, ...MailHost[]];
  readonly homes: readonly [MailHost, ...MailHost[]];
  /** mx.example.net, which takes all mail for example.net. */
  readonly outside: OutsideMx;
  /** Runs everything as an ordinary user; `relaycerts` of this checkout is in its PATH, /home/operator is its home. */
  readonly operator: Machine;
  /** Every machine: the hosts, the operator and the wire. */
  readonly machines: readonly Machine[];
  /** All hosts back to stock, at once. */
  restore(): Promise<void>;
  /** Throws if what the hosts logged is not what explain should say of this lab. */
  stop(): Promise<void>;
}

const domain = 'example.org';
const outsideStation: Station = { hostname: 'mx.example.net', octet: 25, mxOf: 'example.net' };
const operatorStation: Station = { hostname: `operator.${domain}`, octet: 2 };

/** `most` is how many addresses there are before those of another kind. */
function numbered(label: string, count: number, firstOctet: number, most: number): readonly Station[] {
  if (count < 1 || count > most) throw new TypeError(`the lab has 1 to ${most} hosts like ${label}, not ${count}`);
  return Array.from({ length: count }, (_, index) => ({
    hostname: `${label}${index === 0 ? '' : index + 1}.${domain}`,
    octet: firstOctet + index,
  }));
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new Error(
    'the test host lab needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN): it makes namespaces, mounts and veth pairs',
  );
}

/** Starts the lab, in a few seconds; call `stop` when done. Several labs do not see each other. */
export async function startLab({ relays, homes, faults = [] }: LabOptions): Promise<Lab> {
  requireRoot();
  requireTools('unshare', 'nsenter', 'mount', 'ip', 'dnsmasq', 'postfix', 'sshd', 'ssh', 'ssh-keygen', 'rsync', 'sudo');
  const relayStations = numbered('relayhost', relays, 11, 14);
  const homeStations = numbered('mailhost', homes, 31, 200);
  const mailStations = [...relayStations, ...homeStations, outsideStation];
  const machines: Machine[] = [];
  const powerOff = async (): Promise<void> => {
    await Promise.all(machines.map((machine) => machine.powerOff()));
  };
  try {
    const wire = await bootWire([...mailStations, operatorStation]);
    machines.push(wire);

    const checkout = fileURLToPath(new URL('../..', import.meta.url));
    const operator = await bootMachine({ hostname: operatorStation.hostname, account: operatorAccount, checkout });
    machines.push(operator);
    await plugIn(wire, operator, operatorStation);
    const operatorKey = await prepareOperator(operator);

    const bootMailHost = async (
      station: Station,
    ): Promise<{ readonly machine: Machine; readonly knownHosts: string }> => {
      const { hostname, mxOf = '' } = station;
      // relaycerts can run on a host itself, too.
      const machine = await bootMachine({ hostname, checkout });
      machines.push(machine);
      await plugIn(wire, machine, station);
      const [knownHosts] = await Promise.all([
        startSshd(machine, addressOf(station), operatorKey),
        startPostfix(machine, { hostname, takesMailOf: mxOf }),
      ]);
      if (homeStations.includes(station)) {
        await machine.exec(['ip', 'route', 'add', 'prohibit', addressOf(outsideStation)]);
      }
      return { machine, knownHosts };
    };
    // All are awaited even where one fails, so that every machine is known.
    const settled = await Promise.allSettled(mailStations.map(bootMailHost));
    const booted = settled.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
    const knownHosts = booted.map((host) => host.knownHosts).join('');
    const installed = [...relayStations, ...homeStations].map(({ hostname }) => hostname);
    await connectOperator(operator, knownHosts, installed);

    const hosts = booted.map(
      ({ machine }, index) => new MailHost(machine, addressOf(mailStations[index] ?? outsideStation)),
    );
    const [relay, ...moreRelays] = hosts.slice(0, relays);
    const [home, ...moreHomes] = hosts.slice(relays, -1);
    const last = hosts.at(-1);
    if (relay === undefined || home === undefined || last === undefined) throw new TypeError('a lab without hosts');
    const outside = new OutsideMx(last.machine, last.address);
    return {
      relays: [relay, ...moreRelays],
      homes: [home, ...moreHomes],
      outside,
      operator,
      machines,
      restore: async () => {
        await Promise.all(hosts.slice(0, -1).map((host) => host.restorePostfix()));
      },
      stop: async () => {
        try {
          await judgeLogs(hosts.slice(0, -1), faults);
        } finally {
          await powerOff();
        }
      },
    };
  } catch (error) {
    await powerOff();
    throw error;
  }
}
