// The only part of node-forge that is used; its types cover only the package as a whole.

declare module 'node-forge/lib/asn1.js' {
  import { asn1 } from 'node-forge';

  export = asn1;
}
