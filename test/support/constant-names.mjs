// Loaded into the program under test (node --import) by faults.ts: files staged outside the project get the same name
// in every run, so that a system call can be found again by its path. Only those names use 4 random octets.

import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

const { randomBytes } = crypto;
crypto.randomBytes = (size, ...rest) => (size === 4 ? Buffer.alloc(4) : randomBytes(size, ...rest));
syncBuiltinESMExports();
