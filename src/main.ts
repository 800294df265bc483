// The program's entry and exit: the only place where signals end it, and where Node's own messages are silenced. The
// commands start in cli.ts.

import { runProgram } from './cli.js';
import { findOutput } from './sys/output.js';
import { interruptWork } from './sys/interrupt.js';

// Node's warnings about its own features (Node 20.19 calls Web Crypto's Ed25519 experimental) are for developers only.
process.removeAllListeners('warning');
process.on('warning', ({ stack, message }) => {
  if (process.env['RELAYCERTS_DEBUG'] === '1') stderr.write(`${stack ?? message}\n`);
});

// Write errors of standard output are checked when they matter (flushOutput), and at the end. If nobody reads the
// progress, the work still goes on.
const stdout = findOutput(1, () => process.stdout);
const stderr = findOutput(2, () => process.stderr);

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => {
    if (interruptWork()) return;
    stderr.write('\nrelaycerts: interrupted; nothing is half done; run the same command to go on\n');
    // Restores the terminal at the end.
    process.emit('exit', status);
    // Not process.exit, which waits for all keys queued in the thread pool: minutes, if they are RSA.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

void runProgram(process.argv.slice(2), {
  env: process.env,
  get stdin() {
    return process.stdin;
  },
  stdout,
  stderr,
  set exitCode(status: number) {
    process.exitCode = status;
  },
  cwd: () => process.cwd(),
  ...(process.geteuid === undefined ? {} : { geteuid: process.geteuid }),
});
