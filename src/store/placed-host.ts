// A host of the inventory whose paths follow from its name. They are put together when they are asked for, because a
// fleet would keep fifty thousand of them otherwise. read-host.ts decides which kind a host is.

import type { HostInventory } from '../plan/inventory.js';
import type { HostSettings } from '../settings/settings.js';
import type { Layout } from './layout.js';

type Placed = Omit<HostInventory, 'key' | 'certificate' | 'hasBundle' | 'bundle' | 'rightUnder'>;

/** No request, no certificate before a rekey, no revocation. */
export abstract class PlacedHost<Host extends HostSettings = HostSettings> implements Placed {
  readonly host: Host;
  protected abstract readonly layout: Layout;

  constructor(host: Host) {
    this.host = host;
  }

  get keyPath(): string {
    return this.layout.key(this.host.role, this.host.hostname).path;
  }

  get requestPath(): string {
    return this.layout.request(this.host.role, this.host.hostname).path;
  }

  get certificatePath(): string {
    return this.layout.certificate(this.host.role, this.host.hostname).path;
  }

  get bundleFolder(): string {
    return this.layout.bundleFolder(this.host.hostname);
  }

  get request(): undefined {
    return undefined;
  }

  get previous(): undefined {
    return undefined;
  }

  get isRevoked(): boolean {
    return false;
  }
}

const noFiles: ReadonlyMap<string, Buffer> = new Map();

/** A host that has no file yet. */
export class AbsentHost extends PlacedHost implements HostInventory {
  protected readonly layout: Layout;

  constructor(host: HostSettings, layout: Layout) {
    super(host);
    this.layout = layout;
  }

  get key(): undefined {
    return undefined;
  }

  get certificate(): undefined {
    return undefined;
  }

  get hasBundle(): boolean {
    return false;
  }

  get bundle(): ReadonlyMap<string, Buffer> {
    return noFiles;
  }

  get rightUnder(): undefined {
    return undefined;
  }
}
