// The one part of node-forge that is used; its types cover the package as a whole alone.

declare module 'node-forge/lib/asn1.js' {
  import { asn1 } from 'node-forge';

  export = asn1;
}
