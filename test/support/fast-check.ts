// fast-check with a fixed seed, so that a failure comes from a change and not from chance. RELAYCERTS_DEEP=1 uses a new
// seed in every run; a failure prints it.

import { configureGlobal } from 'fast-check';

if (process.env['RELAYCERTS_DEEP'] !== '1') configureGlobal({ seed: 20_261_120 });

export * from 'fast-check';
