// Loaded into the program under test (node --import) by faults.ts: temporary files get the same names in every run, so
// that a system call is found again by its path. Those names are all that takes 2 random octets; the number of the
// process in them is one that no process has, as after a crash.

import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

const { randomBytes } = crypto;
crypto.randomBytes = (size, ...rest) => (size === 2 ? Buffer.alloc(2) : randomBytes(size, ...rest));
syncBuiltinESMExports();
Object.defineProperty(process, 'pid', { value: 4_194_303 });
