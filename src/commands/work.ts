// What a plan is carried out with.

import type { Sys } from '../sys/sys.js';
import type { Inventory } from '../plan/inventory.js';
import type { Plan, Step } from '../plan/plan.js';
import type { Secret } from '../secret.js';
import type { Settings } from '../settings/settings.js';

export type StepOf<Kind extends Step['kind']> = Extract<Step, { readonly kind: Kind }>;

/** What every command that uses the CA's key works with. */
export interface CaWork {
  readonly settings: Settings;
  readonly inventory: Inventory;
  readonly sys: Sys;
  readonly at: Date;
  /** From --passphrase-fd; undefined where the passphrase file has to be opened. */
  readonly passphrase: Secret | undefined;
}

export interface Work extends CaWork {
  readonly plan: Plan;
}
