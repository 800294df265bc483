// fast-check with the same seed every day, so that a failure tells of a change and not of the draw. RELAYCERTS_DEEP=1
// draws anew in every run; what fails prints its seed.

import { configureGlobal } from 'fast-check';

if (process.env['RELAYCERTS_DEEP'] !== '1') configureGlobal({ seed: 20_261_120 });

export * from 'fast-check';
